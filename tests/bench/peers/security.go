package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// ofServer and ofClient are the two sides of mutual TLS, or of plaintext without TLS=FOLDER.
func ofServer() credentials.TransportCredentials {
	return security("server", func(own tls.Certificate, trusted *x509.CertPool) *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{own}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert,
		}
	})
}

func ofClient() credentials.TransportCredentials {
	return security("client", func(own tls.Certificate, trusted *x509.CertPool) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: trusted, ServerName: "localhost"}
	})
}

func security(side string, of func(tls.Certificate, *x509.CertPool) *tls.Config) credentials.TransportCredentials {
	folder := os.Getenv("TLS")
	if folder == "" {
		return insecure.NewCredentials()
	}
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, side+".crt"), filepath.Join(folder, side+".key"))
	fail(err)
	pem, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	fail(err)
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		fail(fmt.Errorf("%s: ca.crt has no certificate", folder))
	}
	return credentials.NewTLS(of(own, trusted))
}
