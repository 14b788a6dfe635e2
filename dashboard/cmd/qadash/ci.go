package main

import (
	"flag"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/larder-go/larder/dashboard/config"
)

// origin is what is known about the run that made a report.
type origin struct {
	Suite, TestType, Branch, Commit, Environment, URL, Run, By, Type string
}

func (r *origin) flags(f *flag.FlagSet) {
	f.StringVar(&r.Suite, "suite", r.Suite, "suite of the report, created if it is missing; default the name of the repository; QADASH_SUITE")
	f.StringVar(&r.TestType, "type", r.TestType, "test type of new cases: api, ui, db, security, performance, mobile or unit")
	f.StringVar(&r.Branch, "branch", r.Branch, "branch; default from the CI's variables")
	f.StringVar(&r.Commit, "commit", r.Commit, "commit; default from the CI's variables")
	f.StringVar(&r.Environment, "environment", r.Environment, "environment that was tested; QADASH_ENVIRONMENT")
	f.StringVar(&r.URL, "run-url", r.URL, "address of the CI job; default from the CI's variables")
	f.StringVar(&r.Run, "run", r.Run, "name of the run: equal reports of one run count once")
	f.StringVar(&r.By, "by", r.By, "who or what started the run")
}

// values are the form fields that are set.
func (r *origin) values() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range [][2]string{
			{"suite", r.Suite}, {"test_type", r.TestType}, {"branch", r.Branch}, {"commit", r.Commit}, {"environment", r.Environment},
			{"run_url", r.URL}, {"run", r.Run}, {"executed_by", r.By}, {"execution_type", r.Type},
		} {
			if f[1] != "" && !yield(f[0], f[1]) {
				return
			}
		}
	}
}

// ciService knows one CI by a variable it always sets, and where it says what.
type ciService struct {
	mark                                      string
	branch, commit, url, run, who, repository []string
}

// ciServices are asked in order. Of pull requests the source branch counts.
var ciServices = []ciService{
	{"GITHUB_ACTIONS", []string{"GITHUB_HEAD_REF", "GITHUB_REF_NAME"}, []string{"GITHUB_SHA"}, nil, []string{"GITHUB_RUN_ID"}, []string{"GITHUB_ACTOR"}, []string{"GITHUB_REPOSITORY"}},
	{"GITLAB_CI", []string{"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"}, []string{"CI_COMMIT_SHA"}, []string{"CI_JOB_URL"}, []string{"CI_JOB_ID"}, []string{"GITLAB_USER_LOGIN"}, []string{"CI_PROJECT_NAME"}},
	{"JENKINS_URL", []string{"CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"}, []string{"GIT_COMMIT"}, []string{"BUILD_URL"}, []string{"BUILD_TAG"}, nil, nil},
	{"CIRCLECI", []string{"CIRCLE_BRANCH"}, []string{"CIRCLE_SHA1"}, []string{"CIRCLE_BUILD_URL"}, []string{"CIRCLE_WORKFLOW_JOB_ID"}, []string{"CIRCLE_USERNAME"}, []string{"CIRCLE_PROJECT_REPONAME"}},
	{"BUILDKITE", []string{"BUILDKITE_BRANCH"}, []string{"BUILDKITE_COMMIT"}, []string{"BUILDKITE_BUILD_URL"}, []string{"BUILDKITE_JOB_ID"}, []string{"BUILDKITE_BUILD_CREATOR"}, []string{"BUILDKITE_PIPELINE_SLUG"}},
	{"TF_BUILD", []string{"SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCHNAME"}, []string{"BUILD_SOURCEVERSION"}, nil, []string{"BUILD_BUILDID"}, []string{"BUILD_REQUESTEDFOR"}, []string{"BUILD_REPOSITORY_NAME"}},
	{"BITBUCKET_BUILD_NUMBER", []string{"BITBUCKET_BRANCH"}, []string{"BITBUCKET_COMMIT"}, nil, []string{"BITBUCKET_STEP_UUID"}, nil, []string{"BITBUCKET_REPO_SLUG"}},
	{"DRONE", []string{"DRONE_SOURCE_BRANCH", "DRONE_BRANCH"}, []string{"DRONE_COMMIT"}, []string{"DRONE_BUILD_LINK"}, []string{"DRONE_BUILD_NUMBER"}, []string{"DRONE_COMMIT_AUTHOR"}, []string{"DRONE_REPO_NAME"}},
	{"TRAVIS", []string{"TRAVIS_PULL_REQUEST_BRANCH", "TRAVIS_BRANCH"}, []string{"TRAVIS_COMMIT"}, []string{"TRAVIS_JOB_WEB_URL"}, []string{"TRAVIS_JOB_ID"}, nil, []string{"TRAVIS_REPO_SLUG"}},
	{"TEAMCITY_VERSION", nil, []string{"BUILD_VCS_NUMBER"}, nil, []string{"BUILD_NUMBER"}, nil, nil},
}

// fromCI reads what the CI says about its run. QADASH_ variables win.
func fromCI(env config.Env) origin {
	var r origin
	for _, service := range ciServices {
		if get(env, service.mark) == "" {
			continue
		}
		r = origin{Branch: first(env, service.branch), Commit: first(env, service.commit), URL: first(env, service.url),
			Run: first(env, service.run), By: first(env, service.who), Type: "ci", Suite: path.Base(first(env, service.repository))}
		break
	}
	if get(env, "GITHUB_ACTIONS") != "" {
		r.URL = strings.TrimRight(get(env, "GITHUB_SERVER_URL"), "/") + "/" + get(env, "GITHUB_REPOSITORY") + "/actions/runs/" + get(env, "GITHUB_RUN_ID")
		r.Run += "/" + get(env, "GITHUB_RUN_ATTEMPT") + "/" + get(env, "GITHUB_JOB")
	}
	if r.Type == "" {
		r.Type = "manual"
	}
	if r.Suite == "" || r.Suite == "." {
		r.Suite = repository()
	}
	r.Branch = strings.TrimPrefix(strings.TrimPrefix(r.Branch, "refs/heads/"), "origin/")
	for name, field := range map[string]*string{"QADASH_SUITE": &r.Suite, "QADASH_BRANCH": &r.Branch, "QADASH_COMMIT": &r.Commit,
		"QADASH_ENVIRONMENT": &r.Environment, "QADASH_RUN_URL": &r.URL, "QADASH_RUN": &r.Run} {
		*field = either(get(env, name), *field)
	}
	return r
}

// repository is the name of the directory above the working directory, or that one,
// which a version control keeps its own in; empty when there is none.
func repository() string {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, ".git")); missing == nil {
			return filepath.Base(dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return ""
}

func first(env config.Env, names []string) string {
	for _, name := range names {
		if v := get(env, name); v != "" {
			return v
		}
	}
	return ""
}

func get(env config.Env, name string) string {
	v, _ := env(name)
	return v
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
