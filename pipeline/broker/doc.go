// Package broker is Kafka for one machine: the broker of franz-go's kfake, in
// this process, on a loopback address, with its log on disk. Every client
// talks to it over TCP as to a real cluster. It has a disk budget: the oldest
// segments of the events are removed before the log outgrows it, and it says
// so before the disk is full.
//
// It is one broker without replicas. For more than one machine use Apache
// Kafka.
package broker
