// Package query holds the questions that Daybook asks of its tables: one
// struct a question, with one method that gives the SQL text and its bound
// parameters (HOUSE.md section 11), and Run, which streams the answer.
//
// Rules that every question keeps: the network (the tenant) is a required
// argument; values travel as bound parameters, never as text; every list has a
// total order and a limit. Nothing here knows clickhouse-go: a Querier runs the
// statement, and *clickhouse.Store is one.
package query
