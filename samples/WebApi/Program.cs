using Microsoft.ML.Leap;
using WebApi;

// Serves a language model over HTTP. README.md shows how to call it.

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
using LeapLanguageModel model = ModelFile.Open(
    builder.Configuration["Model:Path"], Path.Combine(builder.Environment.ContentRootPath, "documentation.leap.zip"));
builder.Services.AddLeap(model, builder.Configuration.GetSection("Leap").Bind);
WebApplication app = builder.Build();
app.MapLeap();
await app.RunAsync();
