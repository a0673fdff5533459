package pipeline

import (
	"os"
	"testing"

	"daybook/pipeline/broker/brokertest"
)

func TestMain(m *testing.M) { os.Exit(brokertest.Main(m).Run()) }
