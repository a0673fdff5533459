package engine

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/ebitengine/purego"
)

// capi is the part of libchdb's C interface that the door uses, loaded once a
// process. Handles are opaque C pointers; nothing here is a Go pointer that the
// library keeps after a call returns (it copies texts, formats and parameters).
type capi struct {
	version        func() string
	signalHandlers func(on int32)

	// connect gives a pointer to the connection handle, nil on failure.
	connect   func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn func(connPtr unsafe.Pointer)

	query       statementFunc
	streamQuery statementFunc
	streamFetch func(conn, stream unsafe.Pointer) unsafe.Pointer
	// streamCancel must not run beside a fetch of the same stream.
	streamCancel func(conn, stream unsafe.Pointer)

	insert        statementFunc
	insertAppend  func(stream, data unsafe.Pointer, n uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertCancel  func(stream unsafe.Pointer)
	insertError   func(stream unsafe.Pointer) string
	insertDestroy func(stream unsafe.Pointer)

	classify func(conn, text unsafe.Pointer, n uintptr, database unsafe.Pointer, databaseLen uintptr, out unsafe.Pointer) int32

	buffer       func(result unsafe.Pointer) unsafe.Pointer
	length       func(result unsafe.Pointer) uintptr
	elapsed      func(result unsafe.Pointer) float64
	rows         func(result unsafe.Pointer) uint64
	bytes        func(result unsafe.Pointer) uint64
	storageRows  func(result unsafe.Pointer) uint64
	storageBytes func(result unsafe.Pointer) uint64
	rowsWritten  func(result unsafe.Pointer) uint64
	bytesWritten func(result unsafe.Pointer) uint64
	resultError  func(result unsafe.Pointer) string
	destroy      func(result unsafe.Pointer)
}

// statementFunc is the shape that the three *_with_params_n functions share:
// text, format, then four parallel arrays of parameter names and values.
type statementFunc func(conn, text unsafe.Pointer, textLen uintptr, format unsafe.Pointer, formatLen uintptr,
	names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer

// allocatorVariable is where the library's allocator (jemalloc) looks for its options
// as it is loaded. An operator's own value holds.
//
// By default freed pages go back to the kernel within 5 s, allocations of 64 MB, which
// is a block of an insert, at once, and each core keeps an arena of its own: a fifth
// of an insert's CPU was the kernel's, giving zeroed pages. One arena for all threads
// needs less memory, though it keeps pages for 20 s (DESIGN.md, "Decisions").
const (
	allocatorVariable = "JE_MALLOC_CONF"
	allocatorOptions  = "percpu_arena:disabled,narenas:1,oversize_threshold:0,dirty_decay_ms:20000"
)

// loadLibrary opens libchdb and binds every function that the door needs, so
// that a library of another version fails here, by name, and not at first use.
func loadLibrary(path string) (api *capi, err error) {
	if _, ok := os.LookupEnv(allocatorVariable); !ok { //nolint:forbidigo // the library reads it there
		if err := os.Setenv(allocatorVariable, allocatorOptions); err != nil { // purego sets libc's environment, too
			return nil, fmt.Errorf("set the engine's allocator: %w", err)
		}
	}
	lib, err := purego.Dlopen(path, purego.RTLD_LAZY|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load engine library %s: %w", path, err)
	}
	api = new(capi)
	for _, f := range []struct {
		into any
		name string
	}{
		{&api.version, "chdb_version"},
		{&api.signalHandlers, "chdb_set_signal_handlers_enabled"},
		{&api.connect, "chdb_connect"},
		{&api.closeConn, "chdb_close_conn"},
		{&api.query, "chdb_query_with_params_n"},
		{&api.streamQuery, "chdb_stream_query_with_params_n"},
		{&api.streamFetch, "chdb_stream_fetch_result"},
		{&api.streamCancel, "chdb_stream_cancel_query"},
		{&api.insert, "chdb_stream_insert_with_params_n"},
		{&api.insertAppend, "chdb_stream_append"},
		{&api.insertDone, "chdb_stream_done"},
		{&api.insertCancel, "chdb_stream_cancel_insert"},
		{&api.insertError, "chdb_stream_insert_error"},
		{&api.insertDestroy, "chdb_destroy_insert_stream"},
		{&api.classify, "chdb_classify_query_n"},
		{&api.buffer, "chdb_result_buffer"},
		{&api.length, "chdb_result_length"},
		{&api.elapsed, "chdb_result_elapsed"},
		{&api.rows, "chdb_result_rows_read"},
		{&api.bytes, "chdb_result_bytes_read"},
		{&api.storageRows, "chdb_result_storage_rows_read"},
		{&api.storageBytes, "chdb_result_storage_bytes_read"},
		{&api.rowsWritten, "chdb_result_rows_written"},
		{&api.bytesWritten, "chdb_result_bytes_written"},
		{&api.resultError, "chdb_result_error"},
		{&api.destroy, "chdb_destroy_query_result"},
	} {
		symbol, err := purego.Dlsym(lib, f.name)
		if err != nil {
			return nil, fmt.Errorf("bind engine function %s of %s: %w", f.name, path, err)
		}
		purego.RegisterFunc(f.into, symbol)
	}
	// Before the first connect: with the library's handlers on, a recovered
	// nil dereference in Go hangs the process.
	api.signalHandlers(0)
	return api, nil
}
