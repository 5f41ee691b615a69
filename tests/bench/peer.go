// A JWK Set behind Go's net/http, as most would write it: the body in memory, the conditional by hand.
package main

import (
	"crypto/tls"
	"log"
	"net/http"
	"os"
	"strings"
)

// Usage: peer ADDRESS BODY GZIPPED [CERTIFICATE KEY].
func main() {
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	gzipped, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "public, max-age=300, stale-if-error=86400")
		header.Set("Vary", "Accept-Encoding")
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("X-Content-Type-Options", "nosniff")
		reply, etag := body, `"identity"`
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			reply, etag = gzipped, `"gzip"`
		}
		header.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if etag == `"gzip"` {
			header.Set("Content-Encoding", "gzip")
		}
		header.Set("Content-Type", "application/json")
		w.Write(reply)
	})
	if len(os.Args) > 4 {
		server := &http.Server{Addr: os.Args[1], TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
		log.Fatal(server.ListenAndServeTLS(os.Args[4], os.Args[5]))
	}
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
