// Package apache runs Apache Kafka on this machine's Java for tests: one node or
// three, on loopback, each a process that can be killed, paused and started
// again. `make kafka` fetches the jars. Nothing of the program needs it.
package apache
