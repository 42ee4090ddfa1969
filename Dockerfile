# The webhook and the command line in one image. Every wheel is checked against the lock; of these, only what the
# project needs to run is installed.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock
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
    && /opt/bayplan/bin/pip install --no-cache-dir --no-index --find-links /wheels bayplan \
    && /opt/bayplan/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
COPY --from=build /opt/bayplan /opt/bayplan
ENV PATH=/opt/bayplan/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["bayplan"]
CMD ["--help"]
