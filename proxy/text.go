package proxy

import "unsafe"

// ownString is b as a string without a copy. b must not be written to afterwards.
func ownString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
