package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cache "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	server "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// A contender registers its service, and pushes version n (0 is there from the start).
type contender interface {
	register(*grpc.Server)
	push(n int) error
}

func serve(address string, one contender) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	options := []grpc.ServerOption{grpc.MaxConcurrentStreams(1 << 20), grpc.Creds(ofServer())}
	if _, raw := one.(*rawBytes); raw {
		options = append(options, grpc.ForceServerCodec(frames{}))
	}
	served := grpc.NewServer(options...)
	one.register(served)
	go func() { fail(served.Serve(listener)) }()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for n := 1; lines.Scan(); n++ {
		if err := one.push(n); err != nil {
			return err
		}
	}
	return nil
}

// pair reads the resources of the two responses that FOLDER holds, and their type. The second one
// may leave out those that are the same.
func pair(folder string) (both [2][]types.Resource, url resource.Type) {
	index := map[string]int{}
	for i, name := range []string{"a", "b"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		fail(err)
		response := &discovery.DiscoveryResponse{}
		fail(proto.Unmarshal(data, response))
		both[i] = slices.Clone(both[0])
		for _, each := range response.GetResources() {
			one, err := each.UnmarshalNew()
			fail(err)
			at, ok := index[cache.GetResourceName(one)]
			if !ok {
				at = len(both[i])
				index[cache.GetResourceName(one)] = at
				both[i] = append(both[i], one)
			}
			both[i][at] = one
		}
		url = response.GetTypeUrl()
	}
	return both, url
}

type linear struct {
	cache *cache.LinearCache
	both  [2][]types.Resource
	index int // of the resource that differs
}

func newLinear(folder string) *linear {
	both, url := pair(folder)
	one := &linear{both: both, cache: cache.NewLinearCache(url)}
	held := map[string]types.Resource{}
	for i, each := range one.both[0] {
		held[cache.GetResourceName(each)] = each
		if !proto.Equal(each, one.both[1][i]) {
			one.index = i
		}
	}
	one.cache.SetResources(held)
	return one
}

func (one *linear) register(served *grpc.Server) { registerCache(served, one.cache) }

func (one *linear) push(n int) error {
	changed := one.both[n%2][one.index]
	return one.cache.UpdateResource(cache.GetResourceName(changed), changed)
}

// everybody gives all nodes one snapshot, as LinearCache does.
type everybody struct{}

func (everybody) ID(*corev3.Node) string { return "everybody" }

type snapshots struct {
	cache cache.SnapshotCache
	both  [2][]types.Resource
	url   resource.Type
}

func newSnapshot(folder string) *snapshots {
	both, url := pair(folder)
	one := &snapshots{both: both, url: url, cache: cache.NewSnapshotCache(false, everybody{}, nil)}
	fail(one.push(0))
	return one
}

func (one *snapshots) register(served *grpc.Server) { registerCache(served, one.cache) }

func (one *snapshots) push(n int) error {
	content := map[resource.Type][]types.Resource{one.url: one.both[n%2]}
	snapshot, err := cache.NewSnapshot(fmt.Sprint(n), content)
	if err != nil {
		return err
	}
	return one.cache.SetSnapshot(context.Background(), "everybody", snapshot)
}

func registerCache(served *grpc.Server, held cache.Cache) {
	service := server.NewServer(context.Background(), held, nil)
	discovery.RegisterAggregatedDiscoveryServiceServer(served, service)
}

// frames passes messages as bytes.
type frames struct{}

func (frames) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (frames) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (frames) Name() string { return "proto" }

// rawBytes sends ready bytes, and reads what comes back without looking at it.
type rawBytes struct {
	bodies  [3][]byte // the first response, and those of the odd and even pushes
	mutex   sync.Mutex
	version int
	streams map[chan struct{}]bool
}

func newBytes(folder string, delta bool) *rawBytes {
	one := &rawBytes{streams: map[chan struct{}]bool{}}
	names := [3]string{"a", "b", "a"}
	if delta {
		names = [3]string{"first.delta", "b.delta", "a.delta"}
	}
	for i, name := range names {
		data, err := os.ReadFile(filepath.Join(folder, name))
		fail(err)
		one.bodies[i] = data
	}
	return one
}

func (one *rawBytes) register(served *grpc.Server) {
	stream := func(name string) grpc.StreamDesc {
		return grpc.StreamDesc{StreamName: name, Handler: one.handle, ServerStreams: true, ClientStreams: true}
	}
	served.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.discovery.v3.AggregatedDiscoveryService",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{stream("StreamAggregatedResources"), stream("DeltaAggregatedResources")},
	}, struct{}{})
}

func (one *rawBytes) handle(_ any, stream grpc.ServerStream) error {
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	one.mutex.Lock()
	one.streams[wake] = true
	one.mutex.Unlock()
	defer func() {
		one.mutex.Lock()
		delete(one.streams, wake)
		one.mutex.Unlock()
	}()
	go func() {
		for {
			var message []byte
			if stream.RecvMsg(&message) != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case <-wake:
		}
		one.mutex.Lock()
		body := one.bodies[0]
		if one.version > 0 {
			body = one.bodies[2-one.version%2]
		}
		one.mutex.Unlock()
		if err := stream.SendMsg(&body); err != nil {
			return err
		}
	}
}

func (one *rawBytes) push(n int) error {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	one.version = n
	for wake := range one.streams {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	return nil
}
