module github.com/larder-go/larder/cmd/larder

go 1.26.0

require (
	github.com/larder-go/larder v0.0.0-00010101000000-000000000000
	github.com/larder-go/larder/msgpack v0.0.0-00010101000000-000000000000
	github.com/rogpeppe/go-internal v1.16.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.9
	github.com/vmihailenco/msgpack/v5 v5.4.1
	go.uber.org/goleak v1.3.0
)

require golang.org/x/tools v0.26.0 // indirect

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	github.com/redis/rueidis v1.0.79 // indirect
	github.com/vmihailenco/tagparser/v2 v2.0.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/larder-go/larder => ../..
	github.com/larder-go/larder/msgpack => ../../msgpack
)
