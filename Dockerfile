# The signaling server: workerd alone, as nobody. docs/self-host.md says how to run it.
FROM node:24-bookworm AS build
WORKDIR /app
COPY . .
RUN npm ci
RUN npm run serve -- --build server
RUN mkdir storage

FROM debian:bookworm-slim
WORKDIR /app
# Where workerd looks for the authorities it trusts, for requests of its own (2026-11).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem
COPY --from=build /app/node_modules/workerd/bin/workerd /usr/local/bin/workerd
COPY --from=build /app/server /app/server
COPY --from=build --chown=65534:65534 /app/storage /app/storage
ENV HOST=0.0.0.0
ENV PORT=8787
ENV STORAGE=/app/storage
USER 65534:65534
VOLUME /app/storage
EXPOSE 8787
# Told to terminate, workerd waits for every WebSocket to end: scripts/serve.ts says why killing it is right.
STOPSIGNAL SIGKILL
HEALTHCHECK CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$PORT; printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' >&3; read -r _ status _ <&3; test \"$status\" = 200"]
ENTRYPOINT ["/app/server/start"]
