// Package e2e holds the tests that run the real binary as real processes:
// `daybook dev` with its embedded broker and its engine in a child process, fed
// by the command line and by Kafka, asked by SQL, HTTP and /metrics, and killed
// with SIGKILL. It has no code of its own outside its tests.
package e2e
