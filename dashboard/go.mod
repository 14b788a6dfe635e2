module github.com/larder-go/larder/dashboard

go 1.26

require github.com/larder-go/larder v0.0.0

replace github.com/larder-go/larder => ../
