package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files of the data folder that hold keys, mode 0600.
const (
	installationKeyFile = "installation.key"
	adminKeyFile        = "admin.key"
	enginePasswordFile  = "engine.key"
)

// keyBytes is the size of every key that is made here.
const keyBytes = 32

func parseInstallationKey(text string) ([]byte, error) {
	key, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("is not %d hex digits", 2*keyBytes)
	}
	return key, nil
}

// newKey gives a random key in hex.
func newKey() string {
	b := make([]byte, keyBytes)
	_, _ = rand.Read(b) // never fails: the process is ended instead
	return hex.EncodeToString(b)
}

// loadKey reads a key of the data folder and makes it if it is not there yet
// and makeIt is set. Made tells the first start, when the administrator's key
// is shown.
func loadKey(data, name string, makeIt bool) (key string, made bool, err error) {
	path := filepath.Join(data, name)
	text, err := os.ReadFile(path)
	if err == nil {
		key = strings.TrimSpace(string(text))
		if key == "" {
			return "", false, fmt.Errorf("read key %s: the file is empty; restore it, or remove it to make a new one", path)
		}
		return key, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("read key: %w", err)
	}
	if !makeIt {
		return "", false, fmt.Errorf("read key %s: %w", path, errNoKey)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", false, fmt.Errorf("make data folder: %w", err)
	}
	key = newKey()
	return key, true, writeOwn(path, []byte(key+"\n"))
}

// errNoKey says that an installation's key is missing where making a new one
// would be wrong: parts that sign with different keys reject each other.
var errNoKey = errors.New("it does not exist")

// installationKey signs control records: from the environment, else from the
// data folder, where only the embedded parts make it: on one machine it is
// shared by the folder, on several it has to be given.
func (a *app) installationKey(makeIt bool) ([]byte, error) {
	text := a.cfg.InstallationKey.Reveal()
	if text == "" {
		var err error
		text, _, err = loadKey(a.data, installationKeyFile, makeIt)
		if errors.Is(err, errNoKey) {
			return nil, fmt.Errorf("%w; set %sINSTALLATION_KEY to the same 64 hex digits for every part of the installation (openssl rand -hex 32)", err, envPrefix)
		}
		if err != nil {
			return nil, err
		}
	}
	key, err := parseInstallationKey(text)
	if err != nil {
		return nil, fmt.Errorf("read installation key: it %w", err)
	}
	return key, nil
}

// adminKey opens the read API: from the environment, else from the data
// folder.
func (a *app) adminKey() (key string, made bool, err error) {
	if k := a.cfg.AdminKey.Reveal(); k != "" {
		return k, false, nil
	}
	return loadKey(a.data, adminKeyFile, true)
}
