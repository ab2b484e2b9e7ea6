using WebApi;

// Scores and continues texts over HTTP. README.md shows how to call it.
await Application.Create(args).RunAsync();
