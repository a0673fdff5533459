// Command daybook turns raw activity events from Kafka into sessions in
// ClickHouse and serves them. It is the one binary of the project: every part
// is a subcommand, and this package is the only place that knows both the
// write side (pipeline) and the storage side (clickhouse).
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Environ()))
}
