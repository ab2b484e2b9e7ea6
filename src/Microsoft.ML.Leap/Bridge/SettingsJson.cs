using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microsoft.ML.Leap;

/// <summary>Settings of this package beside the network's shape, as <c>{"version": 1, "settings": {...}}</c>.</summary>
/// <remarks>A settings type is a record whose constructor's parameters are the settings; one without a default must be in the
/// file. Names in the file are in snake case. A new parameter needs a default, so that older files load, and raises the version,
/// so that older packages refuse the newer file instead of misreading it.</remarks>
internal static class SettingsJson
{
    /// <summary>The longest file that is read, in bytes.</summary>
    public const int MaximumLength = 1 << 20;

    private static readonly JsonSerializerOptions _options = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        AllowDuplicateProperties = false,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>Writes the settings.</summary>
    /// <param name="stream">Where to. It stays open.</param>
    /// <param name="version">The version of the settings' format, at least 1.</param>
    /// <param name="settings">The settings.</param>
    public static void Write<T>(Stream stream, int version, T settings)
        where T : class => JsonSerializer.Serialize(stream, new Envelope<T>(version, settings), _options);

    /// <summary>Reads settings.</summary>
    /// <param name="stream">The file, at its first byte. It stays open.</param>
    /// <param name="version">The newest version that the caller understands.</param>
    /// <param name="source">What messages call the file.</param>
    /// <exception cref="FormatException">The file is corrupt, or written by a newer version.</exception>
    public static T Read<T>(Stream stream, int version, string source = ModelFileNames.Settings)
        where T : class
    {
        byte[] bytes = BoundedReader.ReadAll(stream, MaximumLength, source);
        try
        {
            RequireVersion(bytes, version, source);
            Envelope<T> envelope = JsonSerializer.Deserialize<Envelope<T>>(bytes, _options)!;
            return envelope.Settings ?? throw new JsonException("The settings are null.");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or NotSupportedException)
        {
            throw new FormatException($"{source}: the settings cannot be read: {e.Message}", e);
        }
        catch (ArgumentException e)
        {
            throw new FormatException($"{source}: {e.Message}", e);
        }
    }

    // Before the settings are looked at: those of a newer version would fail with a message about some field.
    private static void RequireVersion(byte[] bytes, int version, string source)
    {
        using JsonDocument document = JsonDocument.Parse(bytes);
        var fields = new JsonFields(document.RootElement, source);
        int written = fields.Integer("version", 0);
        if (written < 1)
            throw fields.Fault("version", "at least 1", written == 0 ? "missing or 0" : $"{written}");
        if (written > version)
        {
            throw new FormatException(
                $"{source}: the model was written by a newer version of Microsoft.ML.Leap (settings version {written}, " +
                $"this one reads up to {version}). Update the package.");
        }
    }

    private sealed record Envelope<T>(int Version, T? Settings)
        where T : class;
}
