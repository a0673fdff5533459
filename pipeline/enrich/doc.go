// Package enrich adds to an event what its producer did not send: the class of
// the device (Mobile or Web, and whether a robot), and to a session the local
// days that it shows on in its user's zone.
//
// It is a pure stage: no clock, no locks, no I/O of its own. A worker of a
// partition owns its Classifier and its Zones; both are bounded caches whose
// answers do not depend on what they hold.
package enrich
