# An inference worker with ONNX Runtime on the CPU.
# Build with `make wheel`, then from the repository's root:
#   docker build -f deploy/images/worker.Dockerfile -t weir-worker:0.1.0 .
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/weir
COPY requirements/edge.lock /build/edge.lock
RUN /opt/weir/bin/pip install --no-cache-dir --require-hashes -r /build/edge.lock
COPY dist/weir-*.whl /build/
RUN /opt/weir/bin/pip install --no-cache-dir --no-deps --no-index /build/weir-*.whl

FROM python:3.11-slim-bookworm
COPY --from=build /opt/weir /opt/weir
ENV PATH=/opt/weir/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    WEIR_DATA_DIR=/var/lib/weir WEIR_LOG_JSON=true WEIR_WORKER__METRICS_PORT=9100
RUN useradd --uid 10001 --user-group --no-create-home weir \
    && install -d -o weir -g weir /var/lib/weir /models
USER 10001:10001
WORKDIR /var/lib/weir
# Artifacts of services are read from here: file:///models/<name>.onnx
VOLUME /models
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9100/live', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir", "worker", "--detached"]
