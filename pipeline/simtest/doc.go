// Package simtest is the deterministic simulator of the delivery guarantee: the
// real worker (pipeline.Worker with everything below it) over a simulated
// Kafka, consumer group and storage, in the virtual time of a synctest bubble.
// DESIGN.md beside it tells what is real, what is simulated, and how to use it:
//
//	go test ./pipeline/simtest -sim.n 100000            # more pairs
//	go test ./pipeline/simtest -sim.seed 7 -sim.plan 9 -sim.v   # one pair, with its trace
//
// All of it is test code.
package simtest
