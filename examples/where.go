// SPDX-License-Identifier: BSD-2-Clause
//
// Copyright (c) 2026 The libgons developers
//
// Prints in which namespaces a program in Go is.  It is linked with libgons by
// cgo, needs nothing else, and is started where its caller wants it:
//
//	go build -o where where.go
//	gons_net=/proc/4711/ns/net ./where
//
// Not with gons_pid: the kernel refuses new threads to a process whose children
// belong to another pid namespace, and Go cannot do without them.
package main

// #cgo pkg-config: gons
// #include <gons.h>
import "C"

import (
	"fmt"
	"os"
)

func main() {
	if status := C.gons_status(); status != nil {
		fmt.Fprintln(os.Stderr, C.GoString(status))
		os.Exit(1)
	}
	for _, t := range []string{"mnt", "net", "user", "uts"} {
		name, err := os.Readlink("/proc/self/ns/" + t)
		if err != nil {
			name = err.Error()
		}
		fmt.Println(t, name)
	}
}
