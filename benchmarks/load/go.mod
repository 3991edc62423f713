module quartermaster.example/benchmark-load

go 1.25.0
