package redisserver_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"mnemo/memory/storetest/redisserver"
)

func TestServer_keeps_acknowledged_writes_over_a_kill(t *testing.T) {
	s := redisserver.Start(t)
	if said, err := s.Do("SET", "k", "v v"); err != nil || said != "+OK" {
		t.Fatalf("set: %q, %v", said, err)
	}
	s.Kill()
	if said, err := s.Do("GET", "k"); err == nil {
		t.Fatalf("a killed server says %q", said)
	}
	s.Restart(t)
	if said, err := s.Do("GET", "k"); err != nil || said != "v v" {
		t.Fatalf("get: %q, %v", said, err)
	}
	if said, err := s.Do("GET", "none"); err != nil || said != "" {
		t.Fatalf("get of nothing: %q, %v", said, err)
	}
}

func TestServer_listens_on_its_socket(t *testing.T) {
	s := redisserver.Start(t)
	conn, err := net.Dial("unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestServer_is_gone_after_its_test(t *testing.T) {
	var s *redisserver.Server
	t.Run("a test", func(t *testing.T) { s = redisserver.Start(t) })
	if s == nil {
		t.Skip("redis-server is not installed")
	}
	if _, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
		t.Error("it still listens")
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("its folder is still there: %v", err)
	}
}

func TestStart_takes_further_arguments(t *testing.T) {
	s := redisserver.Start(t, "--requirepass", "secret")
	if said, err := s.Do("GET", "k"); err != nil || !strings.HasPrefix(said, "-NOAUTH") {
		t.Fatalf("get: %q, %v", said, err)
	}
}

func TestStartCluster_shares_the_slots(t *testing.T) {
	nodes := redisserver.StartCluster(t, 3)
	moved := 0
	for _, node := range nodes {
		said, err := node.Do("SET", "{tag}", "v")
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(said, "-MOVED") {
			moved++
		}
	}
	if moved != 2 {
		t.Fatalf("%d of 3 nodes send to another, want 2", moved)
	}
}

func TestStart_skips_what_the_server_cannot_do(t *testing.T) {
	skipped := true
	t.Run("a test", func(t *testing.T) {
		redisserver.Start(t, "--no-such-directive", "1")
		skipped = false
	})
	if !skipped {
		t.Error("the test went on")
	}
}
