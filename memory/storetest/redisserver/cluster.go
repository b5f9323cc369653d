package redisserver

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

const slots = 16384

// StartCluster starts n masters that share the slots.
func StartCluster(t testing.TB, n int) []*Server {
	t.Helper()
	nodes := make([]*Server, n)
	buses := make([]string, n)
	for i := range nodes {
		_, buses[i], _ = net.SplitHostPort(FreeAddr(t))
		nodes[i] = Start(t, "--cluster-enabled", "yes", "--cluster-port", buses[i])
	}
	for i, node := range nodes {
		host, port, _ := net.SplitHostPort(nodes[0].Addr)
		node.must(t, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		node.must(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(i*slots/n), fmt.Sprint((i+1)*slots/n-1))
		node.must(t, "CLUSTER", "MEET", host, port, buses[0])
	}
	for _, node := range nodes {
		err := poll(node.ended, func() error {
			said, err := node.Do("CLUSTER", "INFO")
			ok := strings.Contains(said, "cluster_state:ok") && strings.Contains(said, fmt.Sprintf("cluster_size:%d", n))
			if err == nil && !ok {
				err = fmt.Errorf("the cluster is not ready: %s", said)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return nodes
}

// Private

func (s *Server) must(t testing.TB, args ...string) {
	t.Helper()
	if said, err := s.Do(args...); err != nil || strings.HasPrefix(said, "-") {
		t.Fatalf("%v: %s, %v", args, said, err)
	}
}
