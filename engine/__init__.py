"""The core: bundles, the language, the algebra and the decision. No I/O: see docs/architecture.md."""
