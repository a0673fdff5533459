// Package schemas is the contract that the two sides of Daybook share: the
// event on the wire (version 1), its decoder and encoder, the reasons for
// which a record is rejected, the control record that carries a setting, and
// the rows that the write side hands to storage.
//
// It is a leaf: it imports nothing of Daybook.
package schemas
