//go:build unix && !linux

package proxy

import "golang.org/x/sys/unix"

// peerClosed reports whether the peer has closed its side and all that it sent
// was read.
func peerClosed(fd uintptr) bool {
	var one [1]byte
	n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR
}
