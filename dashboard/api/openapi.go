package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// operation describes a route for /api/openapi.json. A test sends requests to
// every operation and holds the answers to what is said here.
type operation struct {
	summary string
	query   string // names of parameters, separated by spaces
	body    any    // a value of the type of the body; nil: none
	report  bool   // the body is a test report
	status  int    // of success; default 200
	answer  any    // a value of the type of the answer; nil: none
	media   string // of the answer; default application/json
}

const paged = "skip limit cursor"

// operations describes every route by its method and path.
var operations = map[string]operation{
	"GET /suites":                            {summary: "List suites", query: paged + " q is_active", answer: []dashboard.Suite{}},
	"POST /suites":                           {summary: "Create a suite", body: dashboard.NewSuite{}, status: 201, answer: dashboard.Suite{}},
	"GET /suites/{id}":                       {summary: "Read a suite", answer: dashboard.Suite{}},
	"PUT /suites/{id}":                       {summary: "Change a suite; absent fields stay", body: dashboard.SuitePatch{}, answer: dashboard.Suite{}},
	"PATCH /suites/{id}":                     {summary: "Change a suite", body: dashboard.SuitePatch{}, answer: dashboard.Suite{}},
	"DELETE /suites/{id}":                    {summary: "Delete a suite; its executions stay", status: 204},
	"GET /suites/{id}/badge.svg":             {summary: "State of a suite on a branch, for a README", query: "branch", answer: "", media: "image/svg+xml"},
	"GET /cases":                             {summary: "List cases", query: paged + " suite_id test_type priority is_active q", answer: []dashboard.Case{}},
	"POST /cases":                            {summary: "Create a case", body: dashboard.NewCase{}, status: 201, answer: dashboard.Case{}},
	"GET /cases/{id}":                        {summary: "Read a case", answer: dashboard.Case{}},
	"PUT /cases/{id}":                        {summary: "Change a case; absent fields stay", body: dashboard.CasePatch{}, answer: dashboard.Case{}},
	"PATCH /cases/{id}":                      {summary: "Change a case", body: dashboard.CasePatch{}, answer: dashboard.Case{}},
	"DELETE /cases/{id}":                     {summary: "Delete a case; its results stay", status: 204},
	"GET /cases/{id}/history":                {summary: "Newest outcomes of a case, and whether it is flaky", query: "limit", answer: dashboard.CaseHistory{}},
	"GET /executions":                        {summary: "List executions, the newest first", query: paged + " suite_id status status_filter execution_type branch commit environment", answer: []dashboard.Execution{}},
	"POST /executions":                       {summary: "Create a pending execution", body: dashboard.NewExecution{}, status: 201, answer: dashboard.Execution{}},
	"GET /executions/{id}":                   {summary: "Read an execution", answer: dashboard.Execution{}},
	"POST /executions/{id}/start":            {summary: "pending to running", answer: dashboard.Execution{}},
	"POST /executions/{id}/stop":             {summary: "running to stopped", answer: dashboard.Execution{}},
	"POST /executions/{id}/finish":           {summary: "running to passed, failed or error", body: dashboard.Finish{}, answer: dashboard.Execution{}},
	"GET /executions/{id}/results":           {summary: "List results, the loudest first", query: paged + " status status_filter flaky q search", answer: []dashboard.Result{}},
	"POST /executions/{id}/results":          {summary: "Add at most 1000 results, all or none; an empty list says that the reporter is alive", body: batch{}, answer: dashboard.Execution{}},
	"GET /executions/{id}/events":            {summary: "Follow an execution: server-sent events result and progress, resumed by Last-Event-ID", answer: "", media: "text/event-stream"},
	"GET /compare":                           {summary: "Compare two executions", query: "base head", answer: dashboard.Comparison{}},
	"GET /search":                            {summary: "Find suites, cases and executions", query: "q limit", answer: dashboard.Found{}},
	"POST /ingest/junit":                     {summary: "Take in JUnit XML: raw, multipart or gzip", query: runFields, report: true, status: 201, answer: dashboard.IngestReport{}},
	"POST /ingest/gotest":                    {summary: "Take in the output of go test -json", query: runFields, report: true, status: 201, answer: dashboard.IngestReport{}},
	"GET /dashboard/stats":                   {summary: "Figures over everything", answer: dashboard.Stats{}},
	"GET /dashboard/trends":                  {summary: "Executions per day", query: "days tz time_zone", answer: []dashboard.TrendDay{}},
	"GET /dashboard/recent":                  {summary: "Newest executions", query: "limit", answer: []dashboard.Execution{}},
	"GET /dashboard/recent-executions":       {summary: "Newest executions", query: "limit", answer: []dashboard.Execution{}},
	"GET /dashboard/test-types-distribution": {summary: "Cases by type", answer: []dashboard.TypeShare{}},
	"GET /dashboard/performance-metrics":     {summary: "Durations and success of 30 days", answer: dashboard.PerformanceMetrics{}},
	"GET /dashboard/health":                  {summary: "Newest finished execution per suite on a branch", query: "branch", answer: []dashboard.SuiteHealth{}},
	"GET /dashboard/flaky":                   {summary: "Flaky cases, the worst first", query: "limit", answer: []dashboard.FlakyCase{}},
	"GET /dashboard/slowest":                 {summary: "Slowest cases", query: "limit", answer: []dashboard.SlowCase{}},
	"GET /dashboard/top-errors":              {summary: "Most frequent messages", query: "limit", answer: []dashboard.TopError{}},
	"GET /tokens":                            {summary: "List tokens", query: paged, answer: []dashboard.Token{}},
	"POST /tokens":                           {summary: "Make a token; the answer has its secret, once", body: dashboard.NewToken{}, status: 201, answer: createdToken{}},
	"DELETE /tokens/{id}":                    {summary: "Revoke a token", answer: dashboard.Token{}},
	"GET /audit":                             {summary: "Administrative acts, the newest first", query: paged, answer: []dashboard.AuditEntry{}},
	"GET /webhooks":                          {summary: "List webhooks", answer: []dashboard.Webhook{}},
	"POST /webhooks":                         {summary: "Add a webhook", body: dashboard.NewWebhook{}, status: 201, answer: dashboard.Webhook{}},
	"DELETE /webhooks/{id}":                  {summary: "Remove a webhook", status: 204},
	"GET /cache":                             {summary: "Figures of this instance's cache", answer: dashboard.CacheOverview{}},
	"POST /cache/invalidate":                 {summary: "Invalidate by key, tag, prefix or pattern, or everything", body: dashboard.CacheOrder{}, status: 204},
	"POST /cache/preview":                    {summary: "Say what an invalidation would reach; nothing is changed", body: dashboard.CacheOrder{}, answer: dashboard.CachePreview{}},
	"GET /cache/instances":                   {summary: "Figures of every living instance, this one first", answer: []dashboard.CacheOverview{}},
	"GET /cache/server":                      {summary: "What Redis says of itself", answer: dashboard.CacheServer{}},
	"GET /cache/doctor":                      {summary: "Examine Redis", answer: []dashboard.CacheNote{}},
	"GET /cache/keys":                        {summary: "List entries by a literal prefix", query: "prefix cursor", answer: dashboard.CacheKeys{}},
	"GET /cache/hot":                         {summary: "Entries that all instances together read most, the hottest first; reads are estimates", answer: []dashboard.CacheHotKey{}},
	"GET /cache/entry":                       {summary: "State of an entry, without its value", query: "name", answer: dashboard.CacheEntry{}},
	"POST /cache/reveal":                     {summary: "State of an entry with its value; is written to the audit log", body: cacheName{}, answer: dashboard.CacheEntry{}},
	"GET /cache/events":                      {summary: "Follow what happens in the cache of this instance: server-sent events cache, sampled", answer: "", media: "text/event-stream"},
}

const runFields = "suite test_type run branch commit environment run_url executed_by execution_type"

// enums are the values of named strings.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[dashboard.Status]():        {"pending", "running", "passed", "failed", "error", "stopped", "skipped"},
	reflect.TypeFor[dashboard.TestType]():      words(dashboard.TestTypes),
	reflect.TypeFor[dashboard.Priority]():      words(dashboard.Priorities),
	reflect.TypeFor[dashboard.ExecutionType](): words(dashboard.ExecutionTypes),
	reflect.TypeFor[dashboard.Scope]():         words(dashboard.Scopes),
}

func words[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

type object = map[string]any

// openAPI is the description of the API as JSON, made once from the routes and
// the types they read and write.
var openAPI = sync.OnceValue(func() []byte {
	paths, schemas := object{}, object{}
	for key, o := range operations {
		method, path, _ := strings.Cut(key, " ")
		item, _ := paths["/api/v1"+path].(object)
		if item == nil {
			item = object{}
			paths["/api/v1"+path] = item
		}
		item[strings.ToLower(method)] = o.describe(path, schemas)
	}
	schemas["Problem"] = schemaOf(reflect.TypeFor[problem](), schemas, true)
	doc, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{"title": "qadash", "version": "1", "description": "Test reports in, figures out. Changes need a bearer token unless the server listens on loopback only. " +
			"A request with Cache-Control: no-cache reads what is true now; X-Cache says who answered."},
		"paths":    paths,
		"security": []any{object{}, object{"token": []any{}}},
		"components": object{"schemas": schemas, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"responses": object{"Problem": object{"description": "What is wrong, by RFC 9457", "content": object{"application/problem+json": object{"schema": ref("Problem")}}}}},
	}, "", " ")
	if err != nil {
		panic("api: " + err.Error()) // maps of strings always encode
	}
	return doc
})

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func (o operation) describe(path string, schemas object) object {
	success := object{"description": "Done"}
	if o.answer != nil {
		media := o.media
		if media == "" {
			media = "application/json"
		}
		success["content"] = object{media: object{"schema": schemaOf(reflect.TypeOf(o.answer), schemas, true)}}
	}
	status := max(o.status, http.StatusOK)
	out := object{"summary": o.summary, "parameters": o.parameters(path),
		"responses": object{strconv.Itoa(status): success, "default": object{"$ref": "#/components/responses/Problem"}}}
	switch {
	case o.report:
		out["requestBody"] = object{"required": true, "content": object{
			"application/xml":     object{"schema": object{"type": "string"}},
			"multipart/form-data": object{"schema": object{"type": "object", "properties": object{"file": object{"type": "string", "format": "binary"}}}},
		}}
	case o.body != nil:
		out["requestBody"] = object{"content": object{"application/json": object{"schema": schemaOf(reflect.TypeOf(o.body), schemas, false)}}}
	}
	return out
}

// whole are the parameters that are numbers; the rest is text.
var whole = map[string]bool{"skip": true, "limit": true, "suite_id": true, "days": true, "base": true, "head": true}

func (o operation) parameters(path string) []any {
	out := []any{}
	if strings.Contains(path, "{id}") {
		out = append(out, object{"name": "id", "in": "path", "required": true, "schema": object{"type": "integer", "minimum": 1}})
	}
	for _, name := range strings.Fields(o.query) {
		schema := object{"type": "string"}
		if whole[name] {
			schema = object{"type": "integer", "minimum": 0}
		}
		out = append(out, object{"name": name, "in": "query", "schema": schema})
	}
	return out
}

// schemaOf describes how a type is encoded. Structs become named schemas;
// answers require every field that is always there.
func schemaOf(t reflect.Type, schemas object, answer bool) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{"type": "object"}
	case enums[t] != nil && answer:
		return object{"type": "string", "enum": enums[t]}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []any{schemaOf(t.Elem(), schemas, answer), object{"type": "null"}}}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas, answer)}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if schemas[name] == nil {
			schemas[name] = object{} // a type may contain itself
			schemas[name] = structSchema(t, schemas, answer)
		}
		return ref(name)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64, reflect.Float32:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

func structSchema(t reflect.Type, schemas object, answer bool) object {
	properties, required := object{}, []string{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" || name == "" {
			continue
		}
		properties[name] = schemaOf(f.Type, schemas, answer)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if answer && len(required) > 0 {
		out["required"] = required
	}
	return out
}

// describe serves the description.
func (a *api) describe(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(openAPI())
	return nil
}
