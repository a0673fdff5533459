// Package readapi answers reads over HTTP: who was active when and for how
// long, as JSON and CSV under /v1 and as a page under /. It speaks of networks,
// users, local days and presence sessions; SEMANTICS.md defines the figures,
// package query asks for them, and this package parses, asks and encodes.
//
// Everything is denied but a short list of open routes; a request shows an API
// key in Authorization: Bearer, or, for reading only, the cookie that a
// one-time link of the page or the sign-in form gave. Errors are problem
// documents (RFC 9457) with a stable code. The contract is /openapi.json.
//
// A request takes these steps, in this order:
//
//	ServeHTTP ── headers, limits ── CORS ── gate ── mux ─┬─ huma ── a resource ──┬─ answer (JSON)
//	                                  deny by default    │                       └─ stream (CSV)
//	                                                     └─ page ── the same ────── web (HTML)
package readapi
