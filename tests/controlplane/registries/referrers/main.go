// A registry in memory, with the referrers API that distribution lacks: `registry-with-referrers ADDRESS [CERTIFICATE KEY]`.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	handler := registry.New(registry.WithReferrersSupport(true))
	if len(os.Args) > 3 {
		log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], handler))
	}
	log.Fatal(http.ListenAndServe(os.Args[1], handler))
}
