// Peers of the push benchmark: servers that send the same resources as Towpath, and the sidecars'
// side of it, which is the same for every contender.
//
//	peers linear|snapshot|bytes ADDRESS VARIANT FOLDER   serve the responses of FOLDER
//	peers sidecars ADDRESS VARIANT NODES TYPE...         subscribe a stream for each line of NODES
//
// A line of NODES is the id of a node, and the names of the resources that it asks for; none are
// all of them. With TLS=FOLDER in the environment both sides speak mutual TLS with server.crt,
// server.key, client.crt, client.key and ca.crt of that folder.
//
// VARIANT is sotw or delta. FOLDER has a response of two versions, a and b, and for delta the first
// one (first.delta) and what changes (a.delta, b.delta). A server prints "ready", and pushes the
// other version for each line that it reads. The sidecars print "connected" with milliseconds, bytes
// and how often they were refused once each of them holds its first responses; for a line "expect
// COUNT" they print "expecting", and then how long it took until so many had one more response, in
// milliseconds from that line: the median, the last, and how many responses came altogether.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 5 {
		fail(fmt.Errorf("usage: peers linear|snapshot|bytes|sidecars ADDRESS VARIANT FOLDER|NODES [TYPE...]"))
	}
	kind, address, delta, rest := os.Args[1], os.Args[2], os.Args[3] == "delta", os.Args[4:]
	switch kind {
	case "sidecars":
		fail(sidecars(address, delta, rest[0], rest[1:]))
	case "bytes":
		fail(serve(address, newBytes(rest[0], delta)))
	case "linear":
		fail(serve(address, newLinear(rest[0])))
	case "snapshot":
		fail(serve(address, newSnapshot(rest[0])))
	default:
		fail(fmt.Errorf("unknown kind %q", kind))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}
