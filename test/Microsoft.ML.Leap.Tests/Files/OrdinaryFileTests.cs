using System.Diagnostics;
using System.Net.Sockets;

namespace Microsoft.ML.Leap.Tests;

[TestClass]
[OSCondition(OperatingSystems.Linux)]
public sealed class OrdinaryFileTests
{
    [TestMethod]
    [Timeout(60_000, CooperativeCancellation = true)]
    public void Load_PipeWithoutWriter_IsRefusedAtOnce()
    {
        using var folder = new TemporaryFolder();
        string pipe = MakePipe(folder, "model.zip");

        var error = Assert.ThrowsExactly<FormatException>(() => LeapLanguageModel.Load(pipe));

        StringAssert.Contains(error.Message, "pipe");
        StringAssert.Contains(error.Message, pipe);
    }

    [TestMethod]
    [Timeout(60_000, CooperativeCancellation = true)]
    [DataRow("config.json")]
    [DataRow("leap.manifest")]
    [DataRow("tokenizer_config.json")]
    public void Load_PipeInAFolder_IsRefusedAtOnce(string name)
    {
        using var folder = new TemporaryFolder();
        TrainedModel.Transformer.SavePretrained(folder.Path);
        File.Delete(Path.Combine(folder.Path, "leap.manifest"));
        File.Delete(Path.Combine(folder.Path, name));
        MakePipe(folder, name);

        Assert.ThrowsExactly<FormatException>(() => LeapLanguageModel.Load(folder.Path));
    }

    [TestMethod]
    public void Load_Device_IsRefused() => Assert.ThrowsExactly<FormatException>(() => LeapLanguageModel.Load("/dev/zero"));

    [TestMethod]
    public void OpenRead_Socket_IsRefused()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "socket");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));

        Assert.ThrowsExactly<FormatException>(() => OrdinaryFile.OpenRead(path));
    }

    [TestMethod]
    public void OpenRead_LinkToAFile_Opens()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "file");
        File.WriteAllBytes(path, [7]);
        File.CreateSymbolicLink(path + ".link", path);

        using FileStream stream = OrdinaryFile.OpenRead(path + ".link");

        Assert.AreEqual(7, stream.ReadByte());
    }

    [TestMethod]
    public void OpenRead_NoFile_Throws() => Assert.ThrowsExactly<FileNotFoundException>(() => OrdinaryFile.OpenRead("/nowhere-leap-file"));

    private static string MakePipe(TemporaryFolder folder, string name)
    {
        string path = Path.Combine(folder.Path, name);
        using Process process = Process.Start("mkfifo", [path]);
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode);
        return path;
    }
}
