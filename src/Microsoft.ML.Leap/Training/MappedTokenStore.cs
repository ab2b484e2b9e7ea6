using System.IO.MemoryMappedFiles;

namespace Microsoft.ML.Leap;

/// <summary>Token ids in a memory-mapped file: the system keeps as much of it in memory as there is room.</summary>
internal sealed class MappedTokenStore : TokenStore
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;

    /// <param name="count">Number of ids.</param>
    /// <param name="idSize">Bytes of one id.</param>
    /// <param name="stream">The file, which closes with the store.</param>
    public MappedTokenStore(long count, int idSize, FileStream stream)
        : base(count, idSize)
    {
        _file = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, count * idSize, MemoryMappedFileAccess.Read);
    }

    public override void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    protected override void ReadBytes(long offset, Span<byte> destination) =>
        _view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(_view.PointerOffset + offset), destination);
}
