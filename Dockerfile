FROM golang:1.26 AS build
ARG VERSION=
WORKDIR /src
COPY . .
ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    go build -trimpath -ldflags="-s -w -X main.stamped=$VERSION" -o /out/qadash ./dashboard/cmd/qadash && \
    go build -trimpath -ldflags="-s -w -X main.stamped=$VERSION" -o /out/larder ./cmd/larder && mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/qadash /out/larder /
# A volume that is new takes its owner from here.
COPY --from=build --chown=nonroot:nonroot /out/data /data
USER nonroot
EXPOSE 8000
ENV ADDR=0.0.0.0:8000 DATABASE_URL=sqlite:/data/qadash.db
HEALTHCHECK --interval=10s CMD ["/qadash", "healthcheck"]
ENTRYPOINT ["/qadash"]
CMD ["serve"]
