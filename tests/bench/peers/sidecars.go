package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const biggest = 64 << 20

// Pauses of Envoy before it subscribes again: by chance, up to twice as long each time.
const firstPause, longestPause = time.Second, 30 * time.Second

// fleet counts what its sidecars receive; each of them counts once for each expectation.
type fleet struct {
	delta     bool
	types     []string
	security  credentials.TransportCredentials
	refusals  atomic.Int64
	responses atomic.Int64
	bytes     atomic.Int64
	mutex     sync.Mutex
	began     time.Time
	took      []time.Duration
	round     int
	complete  chan struct{}
	expected  int
}

func sidecars(address string, delta bool, nodesFile string, types []string) error {
	data, err := os.ReadFile(nodesFile)
	if err != nil {
		return err
	}
	nodes := strings.Split(strings.TrimSpace(string(data)), "\n")
	all := &fleet{delta: delta, types: types, security: ofClient()}
	encoding.RegisterCodec(frames{})
	done := all.expect(len(nodes))
	for _, line := range nodes {
		words := strings.Fields(line)
		go func() { fail(fmt.Errorf("%s: %w", words[0], all.stay(address, words[0], words[1:]))) }()
	}
	<-done
	fmt.Printf("connected %.3f %d %d\n", all.last(), all.bytes.Load(), all.refusals.Load())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		count, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "expect "))
		if err != nil {
			return err
		}
		before := all.responses.Load()
		done := all.expect(count)
		fmt.Println("expecting")
		<-done
		// What else comes of the same change comes soon.
		time.Sleep(300 * time.Millisecond)
		fmt.Printf("%.3f %.3f %d\n", all.median(), all.last(), all.responses.Load()-before)
	}
	return nil
}

func (all *fleet) expect(count int) <-chan struct{} {
	all.mutex.Lock()
	defer all.mutex.Unlock()
	all.round++
	all.began = time.Now()
	all.took = all.took[:0]
	all.complete, all.expected = make(chan struct{}), count
	return all.complete
}

// received notes that a sidecar has one response of this round, and returns the round.
func (all *fleet) received(noted int) int {
	all.mutex.Lock()
	defer all.mutex.Unlock()
	if noted != all.round {
		all.took = append(all.took, time.Since(all.began))
		if len(all.took) == all.expected {
			close(all.complete)
		}
	}
	return all.round
}

func (all *fleet) last() float64 {
	all.mutex.Lock()
	defer all.mutex.Unlock()
	return float64(slices.Max(all.took).Microseconds()) / 1000
}

func (all *fleet) median() float64 {
	all.mutex.Lock()
	defer all.mutex.Unlock()
	slices.Sort(all.took)
	return float64(all.took[len(all.took)/2].Microseconds()) / 1000
}

// stay subscribes again, as Envoy does, for as long as its stream ends before a first response.
func (all *fleet) stay(address, node string, names []string) error {
	for most := firstPause; ; most = min(2*most, longestPause) {
		served, err := all.subscribe(address, node, names)
		if served {
			return err
		}
		all.refusals.Add(1)
		time.Sleep(rand.N(most))
	}
}

// subscribe says whether there was a response, and why the stream has ended.
func (all *fleet) subscribe(address, node string, names []string) (served bool, err error) {
	connection, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(all.security),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(frames{}), grpc.MaxCallRecvMsgSize(biggest)))
	if err != nil {
		return served, err
	}
	defer connection.Close()
	method := "StreamAggregatedResources"
	if all.delta {
		method = "DeltaAggregatedResources"
	}
	stream, err := connection.NewStream(context.Background(),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true},
		"/envoy.service.discovery.v3.AggregatedDiscoveryService/"+method)
	if err != nil {
		return served, err
	}
	for i, url := range all.types {
		var who *corev3.Node
		if i == 0 {
			who = &corev3.Node{Id: node, UserAgentName: "envoy"}
		}
		if err := send(stream, all.first(url, who, names)); err != nil {
			return served, err
		}
	}
	waiting := map[string]bool{}
	for _, url := range all.types {
		waiting[url] = true
	}
	noted := 0
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return served, err
		}
		served = true
		all.responses.Add(1)
		all.bytes.Add(int64(len(message)))
		url, version, nonce := all.header(message)
		if err := send(stream, all.acknowledge(url, version, nonce, names)); err != nil {
			return served, err
		}
		if delete(waiting, url); len(waiting) == 0 {
			noted = all.received(noted)
		}
	}
}

func (all *fleet) first(url string, who *corev3.Node, names []string) proto.Message {
	if all.delta {
		return &discovery.DeltaDiscoveryRequest{Node: who, TypeUrl: url, ResourceNamesSubscribe: names}
	}
	return &discovery.DiscoveryRequest{Node: who, TypeUrl: url, ResourceNames: names}
}

func (all *fleet) acknowledge(url, version, nonce string, names []string) proto.Message {
	if all.delta {
		return &discovery.DeltaDiscoveryRequest{TypeUrl: url, ResponseNonce: nonce}
	}
	return &discovery.DiscoveryRequest{
		TypeUrl: url, ResourceNames: names, VersionInfo: version, ResponseNonce: nonce,
	}
}

// header reads type, version and nonce of a response, and passes over its resources.
func (all *fleet) header(message []byte) (url, version, nonce string) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		message = message[n:]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			switch {
			case number == 4: // type_url of both
				url = string(value)
			case number == 5: // nonce of both
				nonce = string(value)
			case number == 1: // version_info, system_version_info
				version = string(value)
			}
		}
		message = message[size:]
	}
	return
}

func send(stream grpc.ClientStream, message proto.Message) error {
	data, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	return stream.SendMsg(&data)
}
