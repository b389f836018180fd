// Command kubelet answers port-forwards of a real API server, with Kubernetes' own code, for tests.
//
// It is of a node whose pods all have the network of this machine: what is forwarded to a pod goes
// to that port of loopback. It does nothing else that a kubelet does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

const (
	path         = "/portForward/"
	idleTimeout  = 4 * time.Hour
	creationTime = 30 * time.Second
)

type node struct{}

func (node) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.Copy(stream, conn)
	}()
	received := make(chan struct{})
	go func() {
		defer close(received)
		io.Copy(conn, stream)
	}()
	select {
	case <-sent:
	case <-received:
	}
	return nil
}

func serve(w http.ResponseWriter, req *http.Request) {
	// /portForward/NAMESPACE/POD
	parts := strings.Split(strings.TrimPrefix(req.URL.Path, path), "/")
	if len(parts) != 2 {
		http.NotFound(w, req)
		return
	}
	options, err := portforward.NewV4Options(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(
		w, req, node{}, parts[1], "", options, idleTimeout, creationTime, portforward.SupportedProtocols)
}

func main() {
	address := flag.String("address", "", "HOST:PORT")
	certificate := flag.String("tls-cert-file", "", "")
	key := flag.String("tls-private-key-file", "", "")
	flag.Parse()
	http.HandleFunc(path, serve)
	log.Fatal(http.ListenAndServeTLS(*address, *certificate, *key, nil))
}
