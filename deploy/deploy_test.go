package deploy

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/coreos/go-systemd/v22/unit"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// compose loads a file as docker compose does, with no variable set.
func compose(t *testing.T, file string, profiles ...string) *types.Project {
	t.Helper()
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	details := types.ConfigDetails{
		WorkingDir:  filepath.Dir(path),
		ConfigFiles: []types.ConfigFile{{Filename: path}},
		Environment: types.Mapping{},
	}
	p, err := loader.LoadWithContext(context.Background(), details, func(o *loader.Options) {
		o.SetProjectName("qadash", false)
		o.Profiles = profiles
	})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return p
}

// The composition that a newcomer starts needs no .env, publishes on loopback
// alone, and restarts its Redis, whose data lie in a volume.
func TestDefaultComposition(t *testing.T) {
	p := compose(t, "../docker-compose.yml")
	redis := p.Services["redis"]
	if redis.Image != "redis:7-alpine" || redis.Restart != "always" || len(redis.Ports) != 0 {
		t.Errorf("redis: image %q, restart %q, ports %v", redis.Image, redis.Restart, redis.Ports)
	}
	if !slices.ContainsFunc(redis.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Source == "redis_data" && v.Target == "/data" }) {
		t.Errorf("redis keeps its data elsewhere: %v", redis.Volumes)
	}
	publishesOnLoopback(t, p)
}

func TestProductionComposition(t *testing.T) {
	p := compose(t, "production/compose.yml", "monitoring")
	publishesOnLoopback(t, p)
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if info, err := os.Stat(v.Source); err != nil || info.IsDir() {
					t.Errorf("%s mounts %s, which is no file", name, v.Source)
				}
			}
		}
		for variable, value := range s.Environment {
			if secretName.MatchString(variable) && !strings.HasSuffix(variable, "_FILE") && value != nil {
				t.Errorf("%s has its secret %s in the environment", name, variable)
			}
		}
		for _, s := range s.Secrets {
			if _, ok := p.Secrets[s.Source]; !ok {
				t.Errorf("%s wants the secret %s, which nobody declares", name, s.Source)
			}
		}
	}
	if app := p.Services["app"]; !app.ReadOnly || !slices.Equal(app.CapDrop, []string{"ALL"}) {
		t.Error("the app may write or keeps capabilities")
	}
	if n := len(compose(t, "production/compose.yml").Services); n != 3 {
		t.Errorf("%d services start without a profile", n)
	}
}

var secretName = regexp.MustCompile(`PASSWORD|TOKEN|DATABASE_URL`)

func publishesOnLoopback(t *testing.T, p *types.Project) {
	t.Helper()
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
}

// The image is built from what the checkout has, without a warning, and runs
// without root.
func TestDockerfile(t *testing.T) {
	file, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, _ []parser.Range) { t.Errorf("Dockerfile: %s: %s", rule, message) }})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if !strings.Contains(last.BaseName, "distroless/static") {
		t.Errorf("runs on %s", last.BaseName)
	}
	user, healthy := "", false
	for _, command := range last.Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.HealthCheckCommand:
			healthy = slices.Equal(c.Health.Test, []string{"CMD", "/qadash", "healthcheck"})
		}
	}
	if user != "nonroot" || !healthy {
		t.Errorf("user %q, health check %v", user, healthy)
	}
}

// Every object is one that Kubernetes knows, without a misspelt field, and the
// container is as locked up as it can be.
func TestKubernetes(t *testing.T) {
	data, err := os.ReadFile("kubernetes/qadash.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]any{
		"ConfigMap": &corev1.ConfigMap{}, "Deployment": &appsv1.Deployment{}, "Service": &corev1.Service{},
		"PodDisruptionBudget": &policyv1.PodDisruptionBudget{}, "NetworkPolicy": &networkingv1.NetworkPolicy{},
	}
	for _, document := range strings.Split(string(data), "\n---\n") {
		var head struct {
			Kind     string                `json:"kind"`
			Metadata struct{ Name string } `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		object, ok := kinds[head.Kind]
		if !ok {
			t.Errorf("unknown kind %q", head.Kind)
			continue
		}
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s: %v", head.Kind, err)
		}
		delete(kinds, head.Kind)
		if d, ok := object.(*appsv1.Deployment); ok {
			checkDeployment(t, d)
		}
	}
	if len(kinds) > 0 {
		t.Errorf("missing: %v", kinds)
	}
}

func checkDeployment(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	pod := d.Spec.Template.Spec
	c := pod.Containers[0]
	if s := c.SecurityContext; !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !*pod.SecurityContext.RunAsNonRoot {
		t.Error("the container may write, rise or be root")
	}
	if c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" {
		t.Error("probes ask elsewhere")
	}
	labels := d.Spec.Template.Labels
	for name, value := range d.Spec.Selector.MatchLabels {
		if labels[name] != value {
			t.Errorf("the selector wants %s=%s, pods have %q", name, value, labels[name])
		}
	}
}

// Every key of the unit is one that systemd knows in its section, so far as
// they are used here, and nothing is written twice but Environment.
func TestSystemdUnit(t *testing.T) {
	file, err := os.Open("systemd/qadash.service")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	options, err := unit.DeserializeOptions(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, o := range options {
		key := o.Section + "." + o.Name
		if _, twice := seen[key]; twice && o.Name != "Environment" {
			t.Errorf("%s stands twice", key)
		}
		seen[key] = o.Value
	}
	for key, want := range map[string]string{
		"Service.ExecStart": "/usr/local/bin/qadash serve", "Service.DynamicUser": "yes", "Service.ProtectSystem": "strict",
		"Service.NoNewPrivileges": "yes", "Install.WantedBy": "multi-user.target",
	} {
		if seen[key] != want {
			t.Errorf("%s is %q, not %q", key, seen[key], want)
		}
	}
}

// What is YAML is valid YAML without a key twice.
func TestYAML(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".yml") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var content map[string]any
		if err := yaml.UnmarshalStrict(data, &content); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
