// Command caller calls `xds:///` targets with grpc-go's own xDS client.
//
// Each line of standard input is a call, {"target": …, "deadline": seconds}; each line of standard
// output is its outcome, {"code": …, "said": the answer or the details, "seconds": …}. A target
// keeps its channel.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

const method = "/hello.Hello/SayHello"

type request struct {
	Target   string  `json:"target"`
	Deadline float64 `json:"deadline"`
}

type outcome struct {
	Code    string  `json:"code"`
	Said    string  `json:"said"`
	Seconds float64 `json:"seconds"`
}

// bytesCodec passes messages as they are: both sides agree on plain bytes.
type bytesCodec struct{}

func (bytesCodec) Name() string                          { return "bytes" }
func (bytesCodec) Marshal(message any) ([]byte, error)   { return *message.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, into any) error { *into.(*[]byte) = data; return nil }

// names has the spelling of the status codes that every other client of these tests prints.
var names = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.Unimplemented: "UNIMPLEMENTED",
	codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
}

func call(channels map[string]*grpc.ClientConn, asked request) outcome {
	channel, known := channels[asked.Target]
	if !known {
		var err error
		channel, err = grpc.NewClient(asked.Target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return outcome{Code: "UNKNOWN", Said: err.Error()}
		}
		channels[asked.Target] = channel
	}
	within := time.Duration(asked.Deadline * float64(time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var empty, answer []byte
	err := channel.Invoke(ctx, method, &empty, &answer, grpc.ForceCodec(bytesCodec{}))
	if err == nil {
		return outcome{Code: "OK", Said: string(answer)}
	}
	refusal := status.Convert(err)
	name, known := names[refusal.Code()]
	if !known {
		name = refusal.Code().String()
	}
	return outcome{Code: name, Said: refusal.Message()}
}

func main() {
	channels := map[string]*grpc.ClientConn{}
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, "caller:", err)
			os.Exit(2)
		}
		began := time.Now()
		result := call(channels, asked)
		result.Seconds = time.Since(began).Seconds()
		if err := answers.Encode(result); err != nil {
			os.Exit(1)
		}
	}
}
