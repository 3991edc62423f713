package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/open-telemetry/opamp-go/client/types"
	"github.com/open-telemetry/opamp-go/protobufs"
	"google.golang.org/protobuf/proto"
)

type kept struct {
	Type        int32  `json:"type"`
	Hash        []byte `json:"hash"`
	Version     string `json:"version"`
	ContentHash []byte `json:"content_hash"`
}

// store keeps packages in a folder: one file of bytes a package, and state.json that says what they are.
type store struct {
	mutex    sync.Mutex
	folder   string
	refusals int
	All      []byte           `json:"all_packages_hash"`
	Known    map[string]*kept `json:"packages"`
	Statuses []byte           `json:"statuses"`
}

var _ types.PackagesStateProvider = (*store)(nil)

func open(folder string) (*store, error) {
	s := &store{folder: folder, Known: map[string]*kept{}}
	text, err := os.ReadFile(filepath.Join(folder, "state.json"))
	if os.IsNotExist(err) {
		return s, os.MkdirAll(folder, 0o700)
	}
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(text, s)
}

func (s *store) save() error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	fresh := filepath.Join(s.folder, "state.json.new")
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(s.folder, "state.json"))
}

func (s *store) content(name string) string {
	return filepath.Join(s.folder, hex.EncodeToString([]byte(name))+".bin")
}

func (s *store) AllPackagesHash() ([]byte, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.All, nil
}

func (s *store) SetAllPackagesHash(hash []byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.All = hash
	say("synced", event{"all_packages_hash": hex.EncodeToString(hash)})
	return s.save()
}

func (s *store) Packages() ([]string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	names := []string{}
	for name := range s.Known {
		names = append(names, name)
	}
	return names, nil
}

func (s *store) PackageState(name string) (types.PackageState, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known, found := s.Known[name]
	if !found {
		return types.PackageState{}, nil
	}
	kind := protobufs.PackageType(known.Type)
	return types.PackageState{Exists: true, Type: kind, Hash: known.Hash, Version: known.Version}, nil
}

func (s *store) SetPackageState(name string, state types.PackageState) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known, found := s.Known[name]
	if !found {
		return fmt.Errorf("package %q is not here", name)
	}
	known.Hash, known.Version = state.Hash, state.Version
	say("installed", event{"package": name, "version": state.Version, "hash": hex.EncodeToString(state.Hash)})
	return s.save()
}

func (s *store) CreatePackage(name string, kind protobufs.PackageType) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.Known[name] = &kept{Type: int32(kind)}
	return s.save()
}

func (s *store) FileContentHash(name string) ([]byte, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if known, found := s.Known[name]; found {
		return known.ContentHash, nil
	}
	return nil, nil
}

// update writes the package's bytes; unlike the library it refuses bytes of another digest.
func (s *store) update(name, url string, data io.Reader, want []byte) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known, found := s.Known[name]
	if !found {
		return fmt.Errorf("package %q is not here", name)
	}
	if s.refusals > 0 {
		s.refusals--
		return fmt.Errorf("told to refuse package %q", name)
	}
	fresh := s.content(name) + ".new"
	file, err := os.Create(fresh)
	if err != nil {
		return err
	}
	digest := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, digest), data)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	got := digest.Sum(nil)
	if !bytes.Equal(got, want) {
		return fmt.Errorf("package %q: offered digest is %x, the bytes have %x", name, want, got)
	}
	if err := os.Rename(fresh, s.content(name)); err != nil {
		return err
	}
	known.ContentHash = want
	say("downloaded", event{"package": name, "url": url, "bytes": size, "sha256": hex.EncodeToString(got)})
	return s.save()
}

func (s *store) DeletePackage(name string) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.Known, name)
	say("deleted", event{"package": name})
	if err := os.Remove(s.content(name)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return s.save()
}

func (s *store) LastReportedStatuses() (*protobufs.PackageStatuses, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.Statuses == nil {
		return nil, nil
	}
	statuses := &protobufs.PackageStatuses{}
	return statuses, proto.Unmarshal(s.Statuses, statuses)
}

func (s *store) SetLastReportedStatuses(statuses *protobufs.PackageStatuses) error {
	bytes, err := proto.Marshal(statuses)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.Statuses = bytes
	said := map[string]event{}
	for name, status := range statuses.Packages {
		said[name] = event{
			"status":  status.Status.String(),
			"has":     status.AgentHasVersion,
			"offered": status.ServerOfferedVersion,
			"error":   status.ErrorMessage,
		}
	}
	say("statuses", event{"packages": said})
	return s.save()
}
