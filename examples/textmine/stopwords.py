"""Words that are too common to say what a document is about. Lists, and nothing else."""
# ruff: noqa: SIM905 - words read better than quotation marks

from typing import Final

ENGLISH: Final = frozenset(
    """
    about above after again all also although always among and another any anything are because been before being below
    between both but came can cannot case come could did different does doing done down during each either else
    especially etc even every example few first following follows for from further get gets getting given gives goes
    going got had has have having hence her here hers him his how however instead into its itself just keep know known
    last later least less let like made make makes making many may maybe might more most much must need needed needs
    neither never new next nor not nothing note now off often once one ones only onto other others otherwise our out
    over own part per perhaps possible put quite rather really same say says second see seen several shall she should
    since some something sometimes still such take taken takes than that the their them themselves then there therefore
    these they thing things this those though three through thus together too toward true two under unless until upon
    use used useful user uses using usually very via want wants was way well were what when where whether which while
    who whole whom whose why will with within without would yes yet you your yourself aren couldn didn doesn don hadn
    hasn haven isn shouldn wasn weren wouldn
    """.split()
)

KOREAN: Final = frozenset(
    """
    가장 각각 같은 같이 거의 것과 것도 것들 것은 것을 것이 것이다 것입니다 그것 그는 그녀 그들 그래서 그러나 그러면
    그런 그런데 그리고 나는 내가 누가 다른 다시 다음 당신 대부분 대하여 대한 대해 더욱 동안 등과 등에 등을 등의 등이
    따라 따라서 때문 또는 또한 마치 많은 많이 매우 먼저 모두 모든 무엇 바로 보다 비록 비해 사실 서로 수가 수도 수는
    아니다 아니라 아니면 아닌 아주 아직 어느 어떤 어떻게 언제 없고 없는 없다 없이 에서 여기 여러 여전히 역시 오직
    왜냐하면 우리 위한 위해 위하여 으로 이것 이때 이러한 이런 이렇게 이를 이미 이와 이후 있고 있기 있는 있다 있던
    있도록 있습니다 있어 있어서 있었다 있으며 있을 있지 자기 자신 저것 저희 전혀 정도 조금 좋은 즉시 지금 통하여 통한
    통해 특히 하나 하는 하지만 한다 한편 함께 합니다 항상 혹은 관한 관련 경우 의한 의해 따른 때는 때의 라는 이라는 부터
    까지 처럼 만약 많다 같다 된다 되는 있으면 않고 않는 않다 않은 않을 못한 못하 둘째 첫째
    """.split()
)

SOURCE: Final = frozenset(
    """
    abstract arg args assert async auto await bool boolean break byte case catch char chan class cls const constexpr
    continue def default defer define del delete dict double elif elseif endif enum errno except extends extern extra
    fallthrough false final finally float foreach fprintf func function global goto ifdef ifndef impl implements import
    include inline instanceof int interface isinstance iter kwargs kwds lambda len let list long mut namespace native
    nil none nonlocal null nullptr obj object operator override package pass pragma print printf private protected
    public raise range register repr require return returns self set short signed sizeof static std str string struct
    super switch synchronized template throw throws todo true try tuple type typedef typename typeof uint undef
    undefined union unsigned var virtual void volatile while with xrange yield
    """.split()
)
"""Keywords of the common programming languages, and the names that stand for nothing in particular."""
