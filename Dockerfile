# The webhook and the command line in one image. Every wheel is checked against the lock; of these, only what the
# project needs to run is installed.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --no-deps --require-hashes --wheel-dir /wheels -r requirements.lock
RUN pip install --no-cache-dir --no-index --find-links /wheels hatchling
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY telemetry telemetry
COPY cluster cluster
COPY delivery delivery
COPY audit audit
COPY webhook webhook
COPY cli cli
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && python -m venv /opt/bayplan \
    && /opt/bayplan/bin/pip install --no-cache-dir --no-index --find-links /wheels 'bayplan[sigstore]' \
    && /opt/bayplan/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
# ssh, for bundles in repositories that are reached by it; it wants whoever runs it to have a name
RUN apt-get update && apt-get install --yes --no-install-recommends openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 65532 --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin bayplan
COPY --from=build /opt/bayplan /opt/bayplan
ENV PATH=/opt/bayplan/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["bayplan"]
CMD ["--help"]
