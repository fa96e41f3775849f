# syntax=docker/dockerfile:1
# Nearfar with its default model. Build it in the root of the repository:  docker build -t nearfar .
# deploy/smoke-chroot.sh parses this file. In the last stage, each ENV must be one NAME=VALUE per line, without quotes.

# --- the model, in a stage of its own, so that it is fetched once and not after every change of the sources
FROM debian:bookworm-slim AS model
WORKDIR /src
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY scripts/model.sh scripts/venv.sh scripts/
COPY scripts/models/ scripts/models/
RUN scripts/model.sh

# --- the program
FROM swift:6.3-bookworm AS build
WORKDIR /src
COPY scripts/deps.sh scripts/deps.sh
COPY scripts/packages/ scripts/packages/
RUN scripts/deps.sh build
COPY . .
RUN scripts/stage.sh /stage

# --- the runtime image
FROM debian:bookworm-slim AS runtime
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Nearfar" \
      org.opencontainers.image.description="Embeds text, scores batches with InfoNCE losses and finds nearest neighbours, over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="debian:bookworm-slim" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

RUN --mount=type=bind,source=deploy/runtime-packages.txt,target=/tmp/runtime-packages.txt \
    apt-get update \
 && sed -e 's/#.*//' -e '/^[[:space:]]*$/d' /tmp/runtime-packages.txt \
  | xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/*

COPY --from=model /src/models/all-MiniLM-L6-v2 /usr/local/share/nearfar/all-MiniLM-L6-v2
COPY --from=build /stage/ /

# Loopback inside a container cannot be reached from outside: listen on all addresses. Publish the port on 127.0.0.1 only
# (docker run -p 127.0.0.1:8080:8080), since the service checks no keys.
ENV NEARFAR_HOST=0.0.0.0
ENV NEARFAR_PORT=8080
ENV NEARFAR_MODEL=/usr/local/share/nearfar/all-MiniLM-L6-v2
# Nothing is written to the root file system, so it may be read-only.
ENV NEARFAR_DATA=:memory:
ENV NEARFAR_LOG_FORMAT=json
ENV SWIFT_BACKTRACE=enable=yes,color=no,interactive=no,swift-backtrace=/usr/local/libexec/swift-backtrace-static

# A number and not a name, so that Kubernetes' runAsNonRoot can check it.
USER 65532:65532
WORKDIR /
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/nearfar", "health"]
ENTRYPOINT ["/usr/local/bin/nearfar"]
CMD ["serve"]
