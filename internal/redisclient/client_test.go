package redisclient_test

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"mnemo/internal/redisclient"
	"mnemo/memory/storetest/redisserver"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	goleak.VerifyTestMain(m)
}

// silence is told of every connection that is refused.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func open(t testing.TB, url string, opts redisclient.Options) *redisclient.Client {
	t.Helper()
	c, err := redisclient.New(url, opts)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestClient_reaches_the_database_of_its_url(t *testing.T) {
	const secret = "p@ss/w#rd?"
	server := redisserver.Start(t, "--requirepass", secret)
	password := url.QueryEscape(secret)
	for database, u := range []string{
		"redis://:" + password + "@" + server.Addr,
		"redis://default:" + password + "@" + server.Addr + "/1",
		"redis://:" + password + "@" + server.Addr + "/2?cluster=false&pool_size=2&read_timeout=2s&protocol=3",
		"unix://:" + password + "@" + server.Socket + "?db=3",
	} {
		c := open(t, u, redisclient.Options{})
		if err := c.Set(t.Context(), "here", u, 0).Err(); err != nil {
			t.Fatal(err)
		}
		in, err := c.ClientInfo(t.Context()).Result()
		if err != nil || in.DB != database || c.Database != database {
			t.Errorf("%s is in database %d, by its URL in %d: %v", u, in.DB, c.Database, err)
		}
		if want := 2 + strings.Count(u, "protocol=3"); in.Resp != want {
			t.Errorf("%s speaks RESP%d", u, in.Resp)
		}
		if n, err := c.DBSize(t.Context()).Result(); err != nil || n != 1 {
			t.Errorf("%d keys in database %d, %v", n, database, err)
		}
	}
	if err := open(t, "redis://:wr0ng@"+server.Addr, redisclient.Options{}).Ping(t.Context()).Err(); err == nil || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestClient_finds_a_cluster_by_any_of_its_nodes(t *testing.T) {
	nodes := redisserver.StartCluster(t, 2)
	gone := redisserver.FreeAddr(t)
	for _, u := range []string{
		"redis://" + nodes[1].Addr + "?cluster=true",
		"redis://" + gone + "," + nodes[0].Addr + "/0?cluster=true",
		"redis://" + nodes[0].Addr + "?cluster=true&max_redirects=-5&max_retries=-5",
	} {
		c := open(t, u, redisclient.Options{})
		for i := range 30 {
			if said, err := c.Set(t.Context(), strconv.Itoa(i), u, time.Hour).Result(); err != nil || said != "OK" {
				t.Fatalf("%s: %q, %v", u, said, err)
			}
		}
		for _, node := range nodes {
			if said, err := node.Do("DBSIZE"); err != nil || said == ":0" {
				t.Errorf("%s: a node has nothing: %q, %v", u, said, err)
			}
			if said, err := node.Do("FLUSHALL"); err != nil || said != "+OK" {
				t.Fatalf("flush: %q, %v", said, err)
			}
		}
	}
}

// go-redis would panic, or send nothing and say that all is well.
func TestClient_survives_numbers_below_their_least(t *testing.T) {
	c := open(t, "redis://"+redisserver.Start(t).Addr+"?pool_size=-1&max_retries=-5", redisclient.Options{})
	pipe := c.Pipeline()
	said := pipe.Echo(t.Context(), "hi")
	if _, err := pipe.Exec(t.Context()); err != nil || said.Val() != "hi" {
		t.Errorf("%q, %v", said.Val(), err)
	}
}

func TestNew_lets_the_url_go_before_options_and_these_before_defaults(t *testing.T) {
	type limits struct{ dial, read, write, pool, bound time.Duration }
	const second = time.Second
	for _, tt := range []struct {
		parameters string
		timeout    time.Duration
		want       limits
	}{
		{"", 0, limits{second, second, second, second, 2 * second}},
		{"", 3 * second, limits{second, 3 * second, 3 * second, 3 * second, 4 * second}},
		{"&dial_timeout=4s&write_timeout=7", 3 * second, limits{4 * second, 3 * second, 7 * second, 3 * second, 11 * second}},
		{"&dial_timeout=10ms&read_timeout=20ms&pool_timeout=30ms", 3 * second, limits{10e6, 20e6, 3 * second, 30e6, 4 * second}},
		{"&read_timeout=0&write_timeout=-1s", 3 * second, limits{second, 0, 0, 3 * second, 4 * second}}, // none, but a bound there is
	} {
		c := open(t, "redis://h?"+tt.parameters, redisclient.Options{Timeout: tt.timeout})
		o := c.UniversalClient.(*redis.Client).Options()
		if got := (limits{o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout, c.Bound}); got != tt.want {
			t.Errorf("%s with %v: %v, want %v", tt.parameters, tt.timeout, got, tt.want)
		}
		many := open(t, "redis://h?cluster=true"+tt.parameters, redisclient.Options{Timeout: tt.timeout})
		of := many.UniversalClient.(*redis.ClusterClient).Options()
		if got := (limits{of.DialTimeout, of.ReadTimeout, of.WriteTimeout, of.PoolTimeout, many.Bound}); got != tt.want {
			t.Errorf("%s with %v in a cluster: %v, want %v", tt.parameters, tt.timeout, got, tt.want)
		}
		if o.MaintNotificationsConfig.Mode != maintnotifications.ModeDisabled || of.MaintNotificationsConfig.Mode != maintnotifications.ModeDisabled {
			t.Error("notifications of maintenance are asked for")
		}
	}
}

func TestClient_repeats_a_call_as_often_as_it_is_told(t *testing.T) {
	for _, tt := range []struct {
		parameters string
		retries    int
		want       int64
	}{
		{"", 0, 1 + redisclient.DefaultRetries}, {"", -1, 1}, {"", -7, 1}, {"", 2, 3}, {"?max_retries=3", -1, 4}, {"?max_retries=-1", 2, 1},
	} {
		addr, calls := serve(t, func(c net.Conn) { c.Close() })
		c := open(t, "redis://"+addr+tt.parameters, redisclient.Options{Retries: tt.retries})
		if err := c.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "pipe") {
			t.Errorf("ping: %v", err)
		}
		if n := calls.Load(); n != tt.want {
			t.Errorf("%s with %d retries: %d attempts, want %d", tt.parameters, tt.retries, n, tt.want)
		}
	}
}

func TestClient_gives_up_on_a_silent_redis(t *testing.T) {
	addr, _ := serve(t, func(net.Conn) {})
	for _, suffix := range []string{"", "?cluster=true"} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		patient := open(t, "redis://"+addr+suffix, redisclient.Options{Timeout: time.Hour})
		if err := patient.Ping(ctx).Err(); err == nil { // or this test never ends
			t.Error("nobody said that")
		}
		hasty := open(t, "redis://"+addr+suffix, redisclient.Options{Timeout: 20 * time.Millisecond, Retries: -1})
		if err := hasty.Ping(t.Context()).Err(); err == nil {
			t.Error("nobody said that")
		}
	}
}

// serve takes connections, counts them and gives them to a function.
func serve(t *testing.T, to func(net.Conn)) (addr string, taken *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken = &atomic.Int64{}
	var conns []net.Conn
	var taking sync.WaitGroup
	taking.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			taken.Add(1)
			conns = append(conns, conn)
			to(conn)
		}
	})
	t.Cleanup(func() {
		l.Close()
		taking.Wait()
		for _, conn := range conns {
			conn.Close()
		}
	})
	return l.Addr().String(), taken
}
