package readapi_test

import (
	"testing"

	"daybook/clickhouse/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
