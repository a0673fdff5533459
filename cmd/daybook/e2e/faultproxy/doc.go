// Package faultproxy stands between two parts of Daybook in tests and does to
// their connections what networks do: delay, throttle, swallow, cut, reset and
// refuse. Its most valuable fault is Cut: the request was delivered and obeyed,
// and its answer is lost.
//
//	p, err := faultproxy.Start("127.0.0.1:0", engine)
//	lost := p.Cut(faultproxy.Cut{Match: faultproxy.Contains("INSERT INTO"), Times: 1})
//	...
//	<-lost
//
// It knows no protocol. A request is what a client sent since the server last
// answered on that connection, which is right for clients that wait for their
// answers, as ours do.
package faultproxy
