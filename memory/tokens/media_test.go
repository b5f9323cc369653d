package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"
)

func TestImageRule_is_the_published_one(t *testing.T) {
	for _, tt := range []struct {
		model         string
		width, height int
		detail        string
		want          int
	}{
		// The worked examples of OpenAI's guide.
		{"gpt-4o", 1024, 1024, "high", 765},
		{"gpt-4o", 2048, 4096, "high", 1105},
		{"gpt-4o", 4096, 8192, "low", 85},
		{"gpt-4.1-mini", 1024, 1024, "", 1659},
		{"o4-mini", 1024, 1024, "", 1762},
		// Others of ours.
		{"gpt-4o", 1, 1, "", 255},
		{"gpt-4o", 512, 512, "auto", 255},
		{"gpt-4o", 513, 512, "", 425},
		{"gpt-4o", 1, 1 << 30, "", 85 + 4*170},
		{"gpt-4o-mini", 1024, 1024, "", 2833 + 4*5667},
		{"gpt-4o-mini", 1024, 1024, "low", 2833},
		{"gpt-5", 1024, 1024, "", 70 + 4*140},
		{"o1", 1024, 1024, "", 75 + 4*150},
		{"gpt-5-nano", 32, 32, "", 3},
		{"gpt-5-mini", 4000, 4000, "low", 2489},
	} {
		if got := For(tt.model).image.tokens(tt.width, tt.height, tt.detail); got != tt.want {
			t.Errorf("%s takes %d tokens, not %d, for %d × %d %s", tt.model, got, tt.want, tt.width, tt.height, tt.detail)
		}
	}
}

func TestDimensions_are_read_from_the_header(t *testing.T) {
	picture := image.NewPaletted(image.Rect(0, 0, 321, 123), color.Palette{color.Black, color.White})
	encode := func(write func(b *bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	asJPEG := encode(func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, nil) })
	thumbnail := append([]byte{0xff, 0xe1, 0xff, 0xff}, make([]byte, 0xffff-2)...)
	for name, data := range map[string][]byte{
		"png":                   encode(func(b *bytes.Buffer) error { return png.Encode(b, picture) }),
		"gif":                   encode(func(b *bytes.Buffer) error { return gif.Encode(b, picture, nil) }),
		"jpeg":                  asJPEG,
		"jpeg with a thumbnail": slices.Concat(asJPEG[:2], thumbnail, thumbnail, asJPEG[2:]),
		"webp, lossy":           webp("VP8 ", []byte{0, 0, 0, 0x9d, 0x01, 0x2a, 0x41, 0x41, 123, 0}),
		"webp, lossless":        webp("VP8L", slices.Concat([]byte{0x2f}, binary.LittleEndian.AppendUint32(nil, 320|122<<14|1<<28), make([]byte, 5))),
		"webp, extended":        webp("VP8X", []byte{0x10, 0, 0, 0, 0x40, 0x01, 0, 122, 0, 0}),
	} {
		url := "data:image/x;base64," + base64.StdEncoding.EncodeToString(data)
		if width, height := dimensions(url); width != 321 || height != 123 {
			t.Errorf("%s: %d × %d", name, width, height)
		}
	}
}

// webp is the beginning of a file in that format. Its lossy form keeps a scale in
// the two high bits of each dimension.
func webp(kind string, body []byte) []byte {
	return slices.Concat([]byte("RIFF\x00\x01\x00\x00WEBP"), []byte(kind), []byte{10, 0, 0, 0}, body, make([]byte, 64))
}

func TestDimensions_of_what_is_no_picture_are_unknown(t *testing.T) {
	for _, url := range []string{
		"",
		"https://example.com/a.png",
		"data:",
		"data:image/png;base64,",
		"data:image/png;base64,!!!!",
		"data:image/png;base64,iVBORw0KGgo=",
		"data:image/png,iVBORw0KGgo",
		"data:image/jpeg;base64," + base64.StdEncoding.EncodeToString([]byte{0xff, 0xd8, 0xff, 0xe1}),
		"data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff, 0xe1, 0, 2}, 1<<20)...)),
		"data:image/webp;base64," + base64.StdEncoding.EncodeToString(webp("ALPH", make([]byte, 10))),
		"data:image/webp;base64," + base64.StdEncoding.EncodeToString(webp("VP8 ", make([]byte, 10))),
	} {
		if width, height := dimensions(url); width != 0 || height != 0 {
			t.Errorf("%.40s: %d × %d", url, width, height)
		}
	}
}

func TestCountAudio_goes_by_the_length(t *testing.T) {
	wav := func(rate uint32, seconds int) string {
		head := make([]byte, 44)
		copy(head, "RIFF\x00\x00\x00\x00WAVEfmt ")
		binary.LittleEndian.PutUint32(head[28:], rate)
		return base64.StdEncoding.EncodeToString(append(head, make([]byte, int(rate)*seconds-44)...))
	}
	for name, tt := range map[string]struct {
		data string
		want int
	}{
		"nothing":         {"", 0},
		"wav, 10 s":       {wav(48_000, 10), 100},
		"wav, no rate":    {base64.StdEncoding.EncodeToString(append([]byte("RIFF"), make([]byte, 3_998)...)), 11},
		"mp3, 32 kbit/s":  {strings.Repeat("A", 16_000), 30},
		"not even base64": {"%%%%", 1},
	} {
		if got := countAudio(tt.data); got != tt.want {
			t.Errorf("%s: %d tokens, not %d", name, got, tt.want)
		}
	}
}

func FuzzDimensions_never_fail(f *testing.F) {
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00"))
	f.Add([]byte{0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0, 1, 0, 1, 3})
	f.Add(webp("VP8X", make([]byte, 10)))
	f.Fuzz(func(t *testing.T, data []byte) {
		url := "data:image/x;base64," + base64.StdEncoding.EncodeToString(data)
		for _, model := range []string{"gpt-4o", "gpt-5-mini"} {
			if n := For(model).image.count(url, "high"); n < 1 || n > 85+8*170 && n > 2489 {
				t.Errorf("%d tokens for a picture", n)
			}
		}
	})
}
