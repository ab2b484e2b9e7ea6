using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans.Connections.Security;

namespace Microsoft.ML.Leap.Tests.Cluster;

/// <summary>What goes between silos and workers, encrypted: docs/scale-out.md tells how.</summary>
[TestClass]
public sealed class TlsTests
{
    [TestMethod]
    public async Task TrainAsync_OverTls_TrainsAndAnswersNoClientWithoutIt()
    {
        using X509Certificate2 certificate = MakeCertificate();
        int gateway = LocalCluster.FreePort();
        await using LocalCluster cluster = await LocalCluster.StartAsync(
            LocalCluster.FreePort(), gateway, silo => silo.UseTls(certificate, options => Trust(options, certificate)));

        using IHost worker = BuildClient(gateway, client => client.UseTls(certificate, options => Trust(options, certificate)));
        await worker.StartAsync();
        var context = new MLContext(1);
        LeapLanguageModelTrainer.Options trainer = TinyModel.Options();
        trainer.MaximumSteps = 4;
        LeapCluster tls = context.Leap().Cluster(worker.Services.GetRequiredService<IClusterClient>());
        using LeapLanguageModelTransformer model = await tls.TrainAsync(
            new ClusterTrainingOptions { RunName = "secret", WorkerCount = 1, StepsPerRound = 2, Trainer = trainer }, TinyModel.View(context, TinyModel.Texts));
        Assert.AreEqual(RunPhase.Over, (await tls.GetProgressAsync("secret")).Phase);
        await worker.StopAsync();

        using IHost plain = BuildClient(gateway, _ => { });
        await RequireUnansweredAsync(plain);

        using X509Certificate2 other = MakeCertificate();
        using IHost stranger = BuildClient(gateway, client => client.UseTls(other, options => Trust(options, other)));
        await RequireUnansweredAsync(stranger);
    }

    // Far longer than the first client needed. It tries again until it is told to stop.
    private static async Task RequireUnansweredAsync(IHost client)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(6));
        Exception exception = await Assert.ThrowsAsync<Exception>(() => client.StartAsync(timeout.Token));
        Assert.IsTrue(
            exception is Orleans.Runtime.Messaging.ConnectionFailedException or OperationCanceledException or Orleans.Runtime.SiloUnavailableException or TimeoutException,
            exception.ToString());
    }

    // The one certificate is that of all silos and workers; who has another one is a stranger.
    private static void Trust(TlsOptions options, X509Certificate2 certificate)
    {
        options.RemoteCertificateMode = RemoteCertificateMode.RequireCertificate;
        options.ClientCertificateMode = RemoteCertificateMode.RequireCertificate;
        options.RemoteCertificateValidation = (remote, _, _) => remote.RawData.AsSpan().SequenceEqual(certificate.RawData);
        options.OnAuthenticateAsClient = (_, authentication) => authentication.TargetHost = "leap";
    }

    private static IHost BuildClient(int gateway, Action<IClientBuilder> change)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.UseOrleansClient(client =>
        {
            client.UseStaticClustering(new IPEndPoint(IPAddress.Loopback, gateway));
            change(client);
        });
        return builder.Build();
    }

    private static X509Certificate2 MakeCertificate()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=leap", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
    }
}
