// Starts a silo and two workers of samples/Cluster, and shows them in Aspire's dashboard: what they write, and how they stand.
if (args is not [string corpus, string folder])
{
    Console.Error.WriteLine("usage: ClusterAppHost TEXT-FILE FOLDER");
    return 2;
}

corpus = Path.GetFullPath(corpus);
if (!File.Exists(corpus))
{
    Console.Error.WriteLine($"There is no file '{corpus}'.");
    return 1;
}

folder = Directory.CreateDirectory(folder).FullName;
IDistributedApplicationBuilder builder = DistributedApplication.CreateBuilder();
IResourceBuilder<ProjectResource> silo = builder.AddProject<Projects.Cluster>("silo").WithArgs("silo");
foreach (string name in (string[])["first", "second"])
    builder.AddProject<Projects.Cluster>(name).WithArgs("worker", corpus, Path.Combine(folder, $"{name}.zip")).WaitFor(silo);
await builder.Build().RunAsync();
return 0;
