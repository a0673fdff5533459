package source_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/pipeline/source"
)

// Marks lie in the catalogue beside the networks, and neither is taken for the
// other.
func TestClient_MarksAreNoSettings(t *testing.T) {
	c := openWithTopics(t, 1)
	if _, err := c.PutSetting(t.Context(), "acme", []byte("setting")); err != nil {
		t.Fatal(err)
	}
	for _, m := range []source.Mark{{"panic/1/0/7", []byte("a")}, {"panic/1/1/7", []byte("b")}, {"panic/1/0/9", []byte("c")}, {"panic/1/0/7", []byte("d")}, {"panic/1/0/9", nil}} {
		if err := c.PutMark(t.Context(), m.Key, m.Value); err != nil {
			t.Fatal(err)
		}
	}
	marks, err := c.Marks(t.Context(), "panic/1/0/")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]source.Mark{{"panic/1/0/7", []byte("d")}}, marks); diff != "" {
		t.Error(diff)
	}
	settings, err := c.Settings(t.Context())
	if err != nil || len(settings) != 1 || settings[0].Network != "acme" {
		t.Errorf("settings %+v, %v, want those of the network alone", settings, err)
	}
}
