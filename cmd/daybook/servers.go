package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// servers says where the parts are: the environment first, else dev.json of
// the data folder.
type servers struct {
	Kafka      []string
	ClickHouse *url.URL // HTTP interface with user, password and database
	API        string
	Metrics    string
	AdminKey   secret
	Dev        bool // from dev.json at least in part
}

// errNoServer is what a command says that finds no part to talk to.
var errNoServer = errors.New("no server is known")

// findServers reads dev.json for what the environment leaves open.
func (a *app) findServers() (*servers, error) {
	s := &servers{Kafka: a.cfg.KafkaBrokers, API: a.cfg.API, AdminKey: a.cfg.AdminKey}
	if dsn := a.cfg.ClickHouseDSN.Reveal(); dsn != "" {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, errors.New("read DAYBOOK_CLICKHOUSE_DSN: it is not an address")
		}
		s.ClickHouse = u
	}
	dev, err := readDevFile(a.data)
	if err != nil || dev == nil {
		return s, err
	}
	s.Metrics = dev.Metrics
	if len(s.Kafka) == 0 {
		s.Kafka, s.Dev = dev.Kafka, true
	}
	if s.API == "" {
		s.API, s.Dev = dev.API, true
	}
	if s.AdminKey == "" {
		s.AdminKey = secret(dev.AdminKey)
	}
	if s.ClickHouse == nil && dev.ClickHouse != "" {
		s.Dev = true
		u, err := url.Parse(dev.ClickHouse)
		if err != nil {
			return nil, fmt.Errorf("read dev.json: clickhouse: %w", err)
		}
		u.User, u.Path = url.UserPassword(dev.User, dev.Password), "/"+dev.Database
		s.ClickHouse = u
	}
	return s, nil
}

// needKafka refuses to go on without brokers, with the two remedies.
func (a *app) needKafka() (*servers, error) {
	s, err := a.findServers()
	if err != nil {
		return nil, err
	}
	if len(s.Kafka) == 0 {
		return nil, a.missing("KAFKA_BROKERS")
	}
	return s, nil
}

// needClickHouse refuses to go on without ClickHouse.
func (a *app) needClickHouse() (*servers, error) {
	s, err := a.findServers()
	if err != nil {
		return nil, err
	}
	if s.ClickHouse == nil {
		return nil, a.missing("CLICKHOUSE_DSN")
	}
	return s, nil
}

// needBoth is for the commands that join what both hold.
func (a *app) needBoth() (*servers, error) {
	if _, err := a.needKafka(); err != nil {
		return nil, err
	}
	return a.needClickHouse()
}

func (a *app) missing(name string) error {
	return fmt.Errorf("find servers: %w: %s%s is not set and there is no %s of a running dev; start `daybook dev --data %s`, or set the variable",
		errNoServer, envPrefix, name, devFilePath(a.data), a.data)
}

// database is the path of a DSN without its slash.
func database(u *url.URL) string { return strings.Trim(u.Path, "/") }
