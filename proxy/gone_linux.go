package proxy

import "golang.org/x/sys/unix"

// peerClosed reports whether the peer has closed its side, even while bytes that
// it sent before are unread (pipelined requests, TLS records).
func peerClosed(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
